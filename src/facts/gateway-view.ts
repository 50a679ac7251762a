import type { Cluster } from "../cluster/cluster.ts";
import { Failure } from "../mesh/failure.ts";
import type { ObjectRef } from "../mesh/objects/object.ts";
import { answerIn } from "./agent.ts";
import { type Upstream, upstreamsIn } from "./upstreams.ts";

/** What one pod of a gateway says of itself. */
export interface GatewayView {
  readonly pod: string;
  readonly node: string | undefined;
  /** Why nothing is known of it; all else is empty then. */
  readonly problem?: string;
  /** Its proxy was asked and did not answer, in seconds. */
  readonly silent?: number;
  /** On which it listens. */
  readonly ports: readonly number[];
  /** The names that it hands on, as they are in TLS. */
  readonly names: ReadonlySet<string>;
  /** The listeners that it refused, with its own words. */
  readonly refused: readonly string[];
  /** How many connections it has handed on to the Services of a namespace. */
  readonly connections: number;
  /** The endpoints that it has for those, by the name that it hands on; none for one that it has no endpoint for. */
  readonly endpoints: ReadonlyMap<string, readonly Upstream[]>;
}

/** A gateway's Envoy answers at once, or it is not well. Milliseconds. */
const WITHIN = 4_000;

interface Dump {
  configs?: {
    name?: string;
    active_state?: {
      listener?: {
        address?: { socket_address?: { port_value?: number } };
        filter_chains?: { filter_chain_match?: { server_names?: string[] } }[];
      };
    };
    error_state?: { details?: string };
  }[];
}

/**
 * Asks a gateway's pod for its listeners and its connections. Takes `get` and `create` on pods/exec in its namespace. Whatever
 * keeps it from answering is part of what is known.
 * @param towards the namespace whose Services' connections are counted
 */
export async function readGateway(
  cluster: Cluster,
  pod: { readonly metadata: { readonly name: string; readonly namespace?: string }; spec?: { nodeName?: string } },
  towards: string,
): Promise<GatewayView> {
  const { name, namespace = "default" } = pod.metadata;
  const ref = { apiVersion: "v1", kind: "Pod", namespace, name };
  const known = { pod: name, node: pod.spec?.nodeName };
  const start = performance.now();
  try {
    const [listeners, clusters] = await Promise.all([
      ask(cluster, ref, "config_dump?resource=dynamic_listeners"),
      ask(cluster, ref, "clusters"),
    ]);
    const { configs = [] } = JSON.parse(listeners) as Dump;
    const active = configs.flatMap(({ active_state }) => active_state?.listener ?? []);
    const names = new Set(
      active
        .flatMap(({ filter_chains = [] }) => filter_chains)
        .flatMap(({ filter_chain_match }) => filter_chain_match?.server_names ?? []),
    );
    const own = [...names].filter((name) => name.includes(`.${towards}.svc.`));
    return {
      ...known,
      ports: active.flatMap(({ address }) => address?.socket_address?.port_value ?? []),
      names,
      refused: configs.flatMap(({ error_state }) => error_state?.details ?? []),
      connections: (upstreamsIn(clusters, (of) => of.includes(`.${towards}.svc.`)) ?? []).reduce(
        (n, { made }) => n + made,
        0,
      ),
      // What it passes on by a name is a cluster of that very name.
      endpoints: new Map(own.map((name) => [name, upstreamsIn(clusters, (of) => of === name) ?? []])),
    };
  } catch (error) {
    if (!(error instanceof Failure || error instanceof SyntaxError)) throw error;
    const problem = error instanceof Failure ? error.message : "its answer cannot be read";
    // What is refused is refused at once.
    const silent = performance.now() - start >= WITHIN ? { silent: WITHIN / 1000 } : {};
    return {
      ...known,
      problem,
      ...silent,
      ports: [],
      names: new Set(),
      refused: [],
      connections: 0,
      endpoints: new Map(),
    };
  }
}

async function ask(cluster: Cluster, pod: ObjectRef, path: string): Promise<string> {
  const { stdout } = await cluster.exec(pod, "istio-proxy", ["pilot-agent", "request", "GET", path], WITHIN);
  return answerIn(stdout);
}
