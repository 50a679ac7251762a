import { Agent, request } from "undici";
import { parse } from "yaml";
import type { Json, StoreEvent } from "../kube.ts";
import { decode } from "./support.ts";

/** The URL at which a server of the clusters' network really listens; `undefined`: nobody answers there. */
export type Dial = (server: string) => string | undefined;

export interface RemoteStatus {
  readonly id: string;
  readonly secretName: string;
  readonly syncStatus: string;
}

interface Remote {
  readonly secretName: string;
  readonly kubeconfig: string;
  reading: Promise<Reading>;
  asked: number;
}

interface Reading {
  readonly status: string;
  /** Where the API server that was read really listens. */
  readonly server?: string;
}

/** Milliseconds after which a cluster that could not be read is tried again, when somebody asks. */
const AGAIN = 250;
const TIMEOUT = 2_000;

/** Of all istiods of this process, by where they lead and whom they trust there: each reads many clusters, and each is read by many. */
const agents = new Map<string, Agent>();

function agentFor(base: string, ca: string, servername: string | undefined): Agent {
  const key = JSON.stringify([base, ca, servername]);
  const known =
    agents.get(key) ?? new Agent({ connections: 4, connect: { ca, ...(servername ? { servername } : {}) } });
  agents.set(key, known);
  return known;
}

/** What some versions do with a secret that is changed: they miss it, or lose what they held by it. */
export interface Ways {
  readonly deaf: boolean;
  readonly forgetful: boolean;
}

/** The clusters that one istiod knows by remote secrets; each is really read with what its secret holds. */
export class RemoteClusters {
  readonly #own: string;
  readonly #dial: Dial;
  readonly #ways: Ways;
  readonly #timeout: number;
  /** Without a time. */
  readonly #log: (line: string) => void;
  readonly #remotes = new Map<string, Remote>();
  /** The clusters of which nothing is held any more. */
  readonly lost = new Set<string>();

  /** @param timeout of a reading, in milliseconds */
  constructor(own: string, dial: Dial, ways: Ways, log: (line: string) => void, timeout = TIMEOUT) {
    this.#own = own;
    this.#dial = dial;
    this.#ways = ways;
    this.#timeout = timeout;
    this.#log = log;
  }

  take(type: StoreEvent["type"], { metadata, data }: Json): void {
    const labelled = type !== "DELETED" && metadata.labels?.["istio/multiCluster"] === "true";
    const entries: Record<string, string> = labelled ? (data ?? {}) : {};
    for (const [id, { secretName }] of this.#remotes) {
      if (secretName === metadata.name && !(id in entries)) this.#remotes.delete(id);
    }
    for (const [id, value] of Object.entries(entries)) {
      const known = this.#remotes.get(id);
      const kubeconfig = decode(value);
      // istiod refuses a second registration of a cluster, its own included, and skips what has not changed.
      if (id === this.#own || (known && (known.secretName !== metadata.name || known.kubeconfig === kubeconfig)))
        continue;
      if (known && this.#ways.deaf) continue;
      if (known && this.#ways.forgetful) this.lost.add(id);
      const secret = `${metadata.namespace}/${metadata.name}`;
      this.#log(`${known ? "Update" : "Add"} cluster\tcluster=${id} secret=${secret}`);
      const asked = performance.now();
      this.#remotes.set(id, { secretName: metadata.name, kubeconfig, reading: this.#read(kubeconfig), asked });
    }
  }

  async status(): Promise<RemoteStatus[]> {
    const remotes = [...this.#remotes].map(async ([id, remote]) => {
      const { status: syncStatus } = await remote.reading;
      if (syncStatus !== "synced" && performance.now() - remote.asked > AGAIN) {
        remote.asked = performance.now();
        remote.reading = this.#read(remote.kubeconfig);
      }
      return { id, secretName: remote.secretName, syncStatus };
    });
    return [{ id: this.#own, secretName: "", syncStatus: "synced" }, ...(await Promise.all(remotes))];
  }

  /** Those that were read once, whatever became of the access since: what is watched already goes on. */
  async synced(): Promise<{ readonly id: string; readonly server: string }[]> {
    await this.status();
    const remotes = await Promise.all(
      [...this.#remotes].map(async ([id, { reading }]) => ({ id, ...(await reading) })),
    );
    return remotes.flatMap(({ id, status, server }) => (status === "synced" && server ? { id, server } : []));
  }

  async #read(kubeconfig: string): Promise<Reading> {
    try {
      const config = parse(kubeconfig);
      const current = config.contexts.find(({ name }: Json) => name === config["current-context"]).context;
      const { cluster } = config.clusters.find(({ name }: Json) => name === current.cluster);
      const { user } = config.users.find(({ name }: Json) => name === current.user);
      const servername = cluster["tls-server-name"];
      const ca = decode(cluster["certificate-authority-data"]);
      const base = this.#dial(cluster.server);
      if (!base) return { status: "timeout" };
      const dispatcher = agentFor(base, ca, servername);
      const answers = await Promise.all(
        ["pods", "services"].map(async (resource) => {
          const { statusCode, body } = await request(`${base}/api/v1/${resource}`, {
            headers: { authorization: `Bearer ${user.token}` },
            dispatcher,
            signal: AbortSignal.timeout(this.#timeout),
          });
          await body.dump();
          return statusCode;
        }),
      );
      return answers.every((status) => status === 200) ? { status: "synced", server: base } : { status: "timeout" };
    } catch {
      return { status: "timeout" };
    }
  }
}
