import { createServer as createHttp } from "node:http";
import { createServer as createHttps } from "node:https";
import { type AddressInfo, connect, createServer as createTcp, type Server, type Socket } from "node:net";

/** A proxy on this machine, which leads everywhere and remembers where to. */
export interface TestProxy {
  readonly port: number;
  /** `host:port` of each connection, and the login by which it was asked for. */
  readonly led: { readonly target: string; readonly login: string }[];
  close(): Promise<void>;
}

async function listening(server: Server, led: TestProxy["led"], sockets: Set<Socket>): Promise<TestProxy> {
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    led,
    close: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

function join(from: Socket, to: Socket): void {
  from.pipe(to).pipe(from);
  for (const [one, other] of [
    [from, to],
    [to, from],
  ] as const)
    one.on("error", () => other.destroy());
}

/**
 * @param refuse the status that is answered instead
 * @param host where every name leads; `null`: to itself
 */
export function connectProxy(
  tls?: { cert: string; key: string },
  refuse?: number,
  host: string | null = "127.0.0.1",
): Promise<TestProxy> {
  const led: TestProxy["led"] = [];
  const server = tls ? createHttps(tls) : createHttp();
  server.on("connect", (request, socket: Socket) => {
    const [, login = ""] = (request.headers["proxy-authorization"] ?? "").split(" ");
    led.push({ target: request.url ?? "", login: Buffer.from(login, "base64").toString() });
    if (refuse) return void socket.end(`HTTP/1.1 ${refuse} Refused\r\n\r\n`);
    const [name = "", port] = (request.url ?? "").split(/:(?=\d+$)/);
    const to = connect(Number(port), host ?? name, () => {
      socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
      join(socket, to);
    });
  });
  return listening(server as unknown as Server, led, new Set());
}

/** SOCKS 5, as RFC 1928 and 1929 have it; it wants a login where one is given. */
export function socksProxy(wanted?: string, status = 0): Promise<TestProxy> {
  const led: TestProxy["led"] = [];
  const server = createTcp((socket) => {
    let stage: "greeting" | "login" | "request" = "greeting";
    let login = "";
    const onData = (data: Buffer) => {
      if (stage === "greeting") {
        const method = wanted ? 2 : 0;
        const offered = data.subarray(2).includes(method);
        socket.write(Buffer.of(5, offered ? method : 0xff));
        stage = wanted ? "login" : "request";
      } else if (stage === "login") {
        const user = data.subarray(2, 2 + (data[1] ?? 0)).toString();
        login = `${user}:${data.subarray(3 + (data[1] ?? 0)).toString()}`;
        socket.write(Buffer.of(1, login === wanted ? 0 : 1));
        stage = "request";
      } else {
        const host = data.subarray(5, 5 + (data[4] ?? 0)).toString();
        const port = data.readUInt16BE(5 + (data[4] ?? 0));
        led.push({ target: `${host}:${port}`, login });
        socket.off("data", onData);
        if (status) return void socket.end(Buffer.of(5, status, 0, 1, 0, 0, 0, 0, 0, 0));
        const to = connect(port, "127.0.0.1", () => {
          socket.write(Buffer.of(5, 0, 0, 1, 127, 0, 0, 1, port >> 8, port & 255));
          join(socket, to);
        });
      }
    };
    socket.on("data", onData);
  });
  return listening(server, led, new Set());
}
