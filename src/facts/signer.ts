import type { Cluster } from "../cluster/cluster.ts";
import { Failure } from "../mesh/failure.ts";
import type { Secret } from "../mesh/objects/secrets.ts";
import type { Pod } from "../mesh/shapes/pod.ts";
import { writtenAt } from "../mesh/written.ts";
import { metricsOf } from "./debug.ts";

/** What one replica of istiod signs the proxies' certificates by, as far as it tells. */
export interface Signer {
  /** The replica's pod. */
  readonly pod: string;
  /** The end of the first certificate of its chain, which is its own; `undefined`: it signs by a root that it made itself. */
  readonly chainEnds: Date | undefined;
  /** The end of the first certificate of what it tells proxies to trust. */
  readonly rootEnds: Date;
}

/**
 * Asks a replica of istiod what it signs by now, whatever the Secret holds by which it may have started: one request. Its metrics
 * are renewed with what it signs by (security/pkg/server/ca, RecordCertsExpiry).
 * @throws a `Failure` where it could not be asked, or does not tell, as one does that does not sign
 */
export async function readSigner(cluster: Cluster, namespace: string, pod: string): Promise<Signer> {
  const metrics = await metricsOf(cluster, namespace, pod);
  const end = (of: string): Date | undefined => {
    const [, seconds] =
      new RegExp(`^citadel_server_${of}_expiry_timestamp(?:\\{[^}]*\\})? (\\S+)$`, "m").exec(metrics) ?? [];
    return Number(seconds) > 0 ? new Date(Number(seconds) * 1000) : undefined;
  };
  const rootEnds = end("root_cert");
  if (!rootEnds) throw new Failure("its metrics do not tell what it signs by");
  return { pod, chainEnds: end("cert_chain"), rootEnds };
}

/** Those replicas that run since before a Secret was last written, and may go by what it held then; all where that is not noted. */
export function startedBefore(secret: Secret, pods: readonly Pod[]): Pod[] {
  const written = writtenAt(secret.metadata, ["data"]);
  return pods.filter(({ status }) => {
    const discovery = status?.containerStatuses?.find(({ name }) => name === "discovery");
    const { startedAt } = discovery?.state?.running ?? {};
    // The API server notes whole seconds of either.
    return startedAt !== undefined && (!written || Date.parse(startedAt) <= written.getTime());
  });
}
