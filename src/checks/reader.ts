import type { Cluster } from "../cluster/cluster.ts";
import type { Finding } from "../mesh/report.ts";
import { failed, passed, skipped, unknown } from "./finding.ts";
import { allowed } from "./rights.ts";
import type { TokenStatus } from "./tokens.ts";

/** What istiod reads of another cluster (pilot/pkg/serviceregistry/kube/controller): without these there is no endpoint. */
const NEEDED = [
  { group: "", resource: "services" },
  { group: "", resource: "pods" },
  { group: "", resource: "nodes" },
  { group: "", resource: "namespaces" },
  { group: "discovery.k8s.io", resource: "endpointslices" },
] as const;

/** What an account lacks of what istiod needs, as `list pods`. */
export function lackingRights(
  cluster: Cluster,
  { username: user = "", groups = [] }: Pick<TokenStatus, "username" | "groups">,
): Promise<string[]> {
  return lacking(cluster, { user, groups });
}

/** The same of who is logged in. */
export function lackingOwnRights(cluster: Cluster): Promise<string[]> {
  return lacking(cluster);
}

async function lacking(cluster: Cluster, who?: Parameters<typeof allowed>[2]): Promise<string[]> {
  const wanted = NEEDED.flatMap((resource) => ["list", "watch"].map((verb) => ({ ...resource, verb })));
  const answers = await Promise.all(wanted.map((attributes) => allowed(cluster, attributes, who)));
  return wanted.filter((_, i) => !answers[i]).map(({ verb, resource }) => `${verb} ${resource}`);
}

/**
 * Whether the accounts that the others read a target as may do so.
 * @param lacking by the account's name, or what is logged in with
 * @param untried what is logged in with elsewhere, and could not be tried
 */
export function readerMayRead(
  lacking: ReadonlyMap<string, readonly string[]>,
  untried: readonly string[] = [],
): Finding {
  if (lacking.size + untried.length === 0)
    return skipped("No other cluster logs in here in a way that could be tried, so there is no account to look at.");
  const values = Object.fromEntries(
    [...lacking].map(([user, rights]) => [user, rights.length === 0 ? "all" : `not ${rights.join(", ")}`]),
  );
  const reading = { source: "SubjectAccessReview", values };
  const poor = [...lacking].filter(([, rights]) => rights.length > 0);
  if (poor.length === 0 && untried.length > 0) {
    return unknown(
      `What ${untried.join(", ")} may read here is not known: it could not be tried from here.`,
      "Run where the address in that remote secret can be reached, or see whether istiod goes on reading it: istioctl remote-clusters",
      reading,
    );
  }
  if (poor.length === 0) return passed(`${[...lacking.keys()].join(", ")} may read what istiod needs.`, reading);
  const list = poor.map(([user, rights]) => `${user} may not ${rights.join(", ")}`).join("; ");
  return failed(
    `The other clusters may not read this one: ${list}. An istiod goes on with what it has read before, and misses every change.`,
    "Run the command `install`: it binds the reader account to its role. Or see who removed it: kubectl get clusterrolebindings | grep istio-reader",
    reading,
  );
}
