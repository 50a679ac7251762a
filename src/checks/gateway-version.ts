import { revisionOf as revisionOfPod } from "../facts/proxies.ts";
import { Failure } from "../mesh/failure.ts";
import type { Finding } from "../mesh/report.ts";
import type { Pod } from "../mesh/shapes/pod.ts";
import { minorsUp } from "../mesh/transition.ts";
import { versionOf } from "../mesh/versions.ts";
import { failed, passed, unknown } from "./finding.ts";
import { istiodVersion, revisionOf } from "./istiod.ts";
import type { Observation } from "./observation.ts";
import { proxyImage } from "./pods.ts";

/** A gateway's pod, and the versions of its proxy and of the istiod that serves it; `undefined`: not known, and why. */
interface Pair {
  readonly pod: string;
  readonly proxy: string | undefined;
  readonly istiod: string | undefined;
  readonly problem?: string;
}

/**
 * Whether the gateway's proxies go with their istiods. Source of the rule: Istio's supported releases; a proxy may be a
 * minor older than its istiod, and never newer.
 */
export function gatewayGoesWithIstiod(seen: Observation): Finding {
  const { pods, deployments } = seen.gateways();
  const injected = pods.filter(proxyImage);
  if (injected.length === 0)
    return unknown("There is no gateway pod with a proxy whose version could be looked at.", "");
  const pairs = injected.map((pod) => pairOf(pod, seen));
  const reading = {
    source: "images of the gateway's proxies and of istiod, and what the proxies tell istiod",
    values: Object.fromEntries(pairs.map(({ pod, proxy, istiod }) => [pod, { proxy, istiod }])),
  };
  const judged = pairs.map((pair) => ({ ...pair, behind: minorsUp(pair.proxy, pair.istiod) }));
  const list = (some: readonly Pair[]) =>
    some.map(({ pod, proxy, istiod }) => `${pod} ${proxy} under istiod ${istiod}`).join(", ");
  const restart = deployments
    .map(({ metadata: { namespace, name } }) => `kubectl -n ${namespace} rollout restart deployment ${name}`)
    .join("; ");
  const again = `A pod gets its istiod's version when it is made anew: ${restart || "delete it"}`;
  const ahead = judged.filter(({ behind = 0 }) => behind < 0);
  if (ahead.length > 0)
    return failed(
      `The east-west gateway's proxy is newer than its istiod (${list(ahead)}), which Istio never supports: istiod may give it what it does not understand, or leave out what it needs.`,
      `Bring istiod to the proxy's version. ${again}`,
      reading,
    );
  const far = judged.filter(({ behind = 0 }) => behind > 1);
  if (far.length > 0)
    return failed(
      `The east-west gateway's proxy is more than a minor version older than its istiod (${list(far)}), which Istio does not support.`,
      again,
      reading,
    );
  const untold = judged.filter(({ behind }) => behind === undefined);
  if (untold.length > 0) {
    const why = untold.map(({ pod, problem }) => `${pod}: ${problem}`).join("; ");
    return unknown(`Whether the gateway's proxies go with istiod could not be told (${why}).`, "", reading);
  }
  const evidence = `The gateway's proxies go with istiod: ${list(judged)}.`;
  const old = judged.filter(({ behind }) => behind === 1);
  if (old.length === 0) return passed(evidence, reading);
  const warning = `The east-west gateway's proxy is a minor version older than its istiod (${list(old)}). Istio supports that, and no more: after the next upgrade it would be too old. ${again}`;
  return { ...passed(evidence, reading), warning };
}

/** An image by digest says nothing of its version; the proxy itself does, to istiod. */
function pairOf(pod: Pod, seen: Observation): Pair {
  const { name, namespace } = pod.metadata;
  const all = seen.istiods();
  const own =
    all.find((each) => revisionOf(each) === revisionOfPod(pod.metadata)) ?? (all.length === 1 ? all[0] : undefined);
  const istiod = istiodVersion(own, seen.istios());
  const tagged = versionOf(proxyImage(pod) ?? "");
  try {
    const proxy = tagged ?? seen.connections().find(({ proxy }) => proxy === `${name}.${namespace}`)?.version;
    const problem = !own
      ? `there is no istiod of its revision ${revisionOfPod(pod.metadata)}`
      : proxy
        ? "istiod's image has no version in its tag"
        : "its image has no version in its tag, and no istiod knows it";
    return { pod: name, proxy, istiod, problem };
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return {
      pod: name,
      proxy: undefined,
      istiod,
      problem: `its image has no version in its tag, and ${error.message}`,
    };
  }
}
