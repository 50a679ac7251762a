// The little of `ws` that is used here; its types are a package of their own.
declare module "ws" {
  import type { IncomingMessage } from "node:http";
  import type { Duplex } from "node:stream";

  export interface WebSocket {
    send(data: Uint8Array, sent?: () => void): void;
    terminate(): void;
    close(code?: number): void;
  }

  export class WebSocketServer {
    constructor(options: { noServer: true; handleProtocols?: (offered: Set<string>) => string | false });
    handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer, ready: (client: WebSocket) => void): void;
  }
}
