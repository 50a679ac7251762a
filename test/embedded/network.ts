import type { Kube } from "./kube.ts";

/** A cluster as the others reach it. */
export interface Neighbour {
  readonly kube: Kube;
  /** Whether the way to its gateway is blocked. */
  readonly blocked: () => boolean;
  /** Whether the others' pods reach its own without a gateway. */
  readonly routed: () => boolean;
}

/** Where the addresses of API servers lead to in this process. */
const servers = new Map<string, string>();
/** By the URL at which the API server really listens. */
const neighbours = new Map<string, Neighbour>();

/** Puts a cluster on the network between the clusters. @returns takes it away again */
export function join(neighbour: Neighbour, address: string | undefined): () => void {
  const { server, listening } = neighbour.kube;
  for (const url of [address, server]) if (url) servers.set(url, listening);
  neighbours.set(listening, neighbour);
  return () => {
    neighbours.delete(listening);
  };
}

/** The URL at which the server of an address really listens; `undefined`: nobody answers there. */
export function dial(server: string): string | undefined {
  const url = server.replace(/\/+$/, "");
  return servers.get(url) ?? (url.startsWith("https://127.0.0.1:") ? url : undefined);
}

/** The cluster whose API server really listens at a URL. */
export function neighbourAt(url: string): Neighbour | undefined {
  return neighbours.get(url);
}
