import { chainTo, sameAuthority } from "../mesh/certificates/chain.ts";
import { readableIn } from "../mesh/certificates/pem.ts";
import type { Finding, Reading } from "../mesh/report.ts";
import type { MeshSpec } from "../mesh/spec.ts";
import { count, listed } from "../mesh/words.ts";
import { failed, passed, skipped } from "./finding.ts";
import type { Observation } from "./observation.ts";
import { readable } from "./part.ts";
import { looked, proxiesOf } from "./proxies.ts";
import { authority } from "./trust.ts";

/** How long istiod may take to write a root into all namespaces. Milliseconds. */
const WRITTEN = 60_000;

/**
 * Whether the namespaces in which proxies are hold what istiod is trusted by. A pod takes it from its own namespace: without it
 * no pod starts there, and with that of another root none gets a certificate.
 */
export function namespacesHaveRoot(mesh: MeshSpec, seen: Observation, now: Date): Finding {
  const { pem, since, configMap } = seen.bundle();
  if (!configMap) return skipped("Proxies do not take it from their namespaces, but from the cluster's trust bundle.");
  const roots = readableIn(pem ?? "");
  const proxies = proxiesOf(mesh, seen, seen.sample(), readable(seen.connections));
  // Those that were injected before it got another name, or hold it in another way, do without.
  const namespaces = [
    ...new Set(proxies.flatMap(({ proxy }) => (proxy.rootFrom === configMap ? proxy.namespace : []))),
  ];
  const bundles = seen.namespaceBundles();
  const { issuer } = authority(mesh.namespace, seen);
  const trusts = (held: ReturnType<typeof readableIn>) =>
    issuer
      ? chainTo(held, issuer) !== undefined
      : held.some((each) => roots.some((other) => sameAuthority(each, other)));
  const without = namespaces.filter((namespace) => !bundles.has(namespace));
  const others = namespaces.filter((namespace) => {
    const text = bundles.get(namespace);
    return text !== undefined && !trusts(readableIn(text));
  });
  const reading: Reading = {
    source: `ConfigMaps ${configMap}`,
    values: { namespaces: namespaces.length, without, others },
  };
  if (roots.length === 0) return skipped("Which root is in effect is not known.", reading);
  const isFresh = since !== undefined && now.getTime() - since.getTime() < WRITTEN;
  const troubles = [
    ...(without.length > 0
      ? [
          `${listed(without)} ${without.length === 1 ? "has" : "have"} no ConfigMap ${configMap}, without which no pod starts there`,
        ]
      : []),
    ...(others.length > 0
      ? [
          `the ConfigMap ${configMap} of ${listed(others)} holds another root than istiod's, so no pod that starts there gets a certificate`,
        ]
      : []),
  ].join("; and ");
  const evidence = `The ConfigMap ${configMap} in ${count(namespaces.length, "namespace")} with proxies holds what istiod signs by.${looked(seen.sample())}`;
  if (!troubles) return passed(evidence, reading);
  if (isFresh)
    return {
      ...passed("The root in effect was written within the last minute.", reading),
      warning: `Not every namespace has it yet: ${troubles}.`,
    };
  const [first] = [...without, ...others];
  return failed(
    `In namespaces with proxies: ${troubles}.`,
    `istiod writes it into every namespace that its discoverySelectors select, and another mesh's istiod does, too: kubectl -n ${first} get configmap ${configMap} -o yaml --show-managed-fields; kubectl get namespace ${first} --show-labels; kubectl -n ${mesh.namespace} logs -l app=istiod | grep ${first}`,
    reading,
  );
}
