import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import type { ExecRequest, ExecResponse, Json } from "./kube.ts";

export type ExecHandler = (request: ExecRequest) => Promise<ExecResponse> | ExecResponse;

const STDOUT = 1;
const STDERR = 2;
const STATUS = 3;
const SUBPROTOCOLS = ["v5.channel.k8s.io", "v4.channel.k8s.io"];

const sockets = new WebSocketServer({
  noServer: true,
  handleProtocols: (offered) => SUBPROTOCOLS.find((one) => offered.has(one)) ?? false,
});

/** Answers `pods/exec` over a WebSocket: a message's first byte is its stream, stream 3 carries how it ended. */
export function exec(
  incoming: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  handler: ExecHandler,
  request: ExecRequest,
  { late, half = false }: { late?: Promise<unknown> | undefined; half?: boolean } = {},
): void {
  sockets.handleUpgrade(incoming, socket, head, (client) => {
    const send = (stream: number, text: string) => client.send(Buffer.concat([Buffer.of(stream), Buffer.from(text)]));
    void (async () => {
      try {
        const { exitCode, stdout, stderr } = await handler(request);
        await late;
        if (half) {
          client.send(Buffer.concat([Buffer.of(STDOUT), Buffer.from(stdout.slice(0, stdout.length / 2))]), () =>
            client.terminate(),
          );
          return;
        }
        if (stdout) send(STDOUT, stdout);
        if (stderr) send(STDERR, stderr);
        send(STATUS, JSON.stringify(ending(exitCode)));
      } catch (error) {
        const message = `Internal error occurred: ${error instanceof Error ? error.message : error}`;
        send(STATUS, JSON.stringify({ metadata: {}, status: "Failure", message, reason: "InternalError", code: 500 }));
      }
      client.close(1000);
    })();
  });
}

function ending(exitCode: number): Json {
  if (exitCode === 0) return { metadata: {}, status: "Success" };
  return {
    metadata: {},
    status: "Failure",
    message: `command terminated with non-zero exit code: command terminated with exit code ${exitCode}`,
    reason: "NonZeroExitCode",
    details: { causes: [{ reason: "ExitCode", message: String(exitCode) }] },
  };
}
