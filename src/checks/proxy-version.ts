import type { Finding, Reading } from "../mesh/report.ts";
import type { MeshSpec } from "../mesh/spec.ts";
import { lineOf, minorsUp } from "../mesh/transition.ts";
import { istioLine, plainVersion, versionOf } from "../mesh/versions.ts";
import { listed } from "../mesh/words.ts";
import { failed, passed, unknown } from "./finding.ts";
import { istiodVersion, revisionOf } from "./istiod.ts";
import type { Observation } from "./observation.ts";
import { readable } from "./part.ts";
import { idOf, isWorkload, joined, namedBy, proxiesOf, restart, these } from "./proxies.ts";

/**
 * Whether the proxies go with the istiods that serve them, those of gateways between the networks left out, which have a check of
 * their own. Source of the rule: Istio's supported releases; a proxy may be a minor older than its istiod, and never newer.
 */
export function goWithIstiod(mesh: MeshSpec, seen: Observation): Finding {
  const istiods = seen.istiods();
  if (istiods.length === 0) return unknown("There is no istiod whose version proxies could go with.", "");
  const sample = readable(seen.sample);
  const connections = readable(seen.connections);
  if (!sample && !connections) seen.sample();
  const gateways = new Set(
    readable(seen.gateways)?.pods.map(({ metadata }) => `${metadata.name}.${metadata.namespace ?? "default"}`),
  );
  const served = (revision: string) =>
    istiodVersion(
      istiods.find((each) => revisionOf(each) === revision),
      seen.istios(),
    );
  const runs = new Map(
    readable(seen.istiodPods)?.map(({ metadata, spec }) => [
      metadata.name,
      versionOf(spec?.containers[0]?.image ?? "") ?? served(metadata.labels?.["istio.io/rev"] ?? "default"),
    ]),
  );
  const pairs = new Map<string, { name: string; proxy: string | undefined; istiod: string | undefined }>();
  for (const { name, proxy, revision } of sample ? proxiesOf(mesh, seen, sample, connections) : [])
    pairs.set(idOf(proxy), { name, proxy: versionOf(proxy.image ?? ""), istiod: served(revision) });
  for (const each of connections?.filter(isWorkload) ?? []) {
    const known = pairs.get(each.proxy);
    // A build may name itself otherwise than by a version.
    const version = plainVersion(each.version) ?? known?.proxy;
    pairs.set(each.proxy, { name: namedBy(each), proxy: version, istiod: runs.get(each.istiod) });
  }
  for (const id of gateways) pairs.delete(id);
  const judged = [...pairs.values()].map((pair) => ({ ...pair, behind: minorsUp(pair.proxy, pair.istiod) }));
  const told = judged.filter(({ behind }) => behind !== undefined);
  const by = Map.groupBy(judged, ({ proxy, istiod }) => `${proxy ?? "?"} under istiod ${istiod ?? "?"}`);
  const reading: Reading = {
    source: "what proxies tell istiod, and their images",
    values: Object.fromEntries([...by].map(([versions, some]) => [versions, some.length])),
  };
  const list = (some: readonly (typeof judged)[number][]) =>
    [...Map.groupBy(some, ({ proxy, istiod }) => `of ${proxy} under istiod ${istiod}`)].map(
      ([versions, same]) => `${these(same.map(({ name }) => name))} ${versions}`,
    );
  const ahead = told.filter(({ behind = 0 }) => behind < 0);
  const far = told.filter(({ behind = 0 }) => behind > 1);
  const problems = [
    ...(ahead.length > 0
      ? [
          {
            cause: `Newer than their istiod, which Istio never supports: ${list(ahead).join("; ")}.`,
            hint: `Bring istiod to their version, then make them anew: ${restart(ahead.map(({ name }) => name))}`,
          },
        ]
      : []),
    ...(far.length > 0
      ? [
          {
            cause: `More than a minor version older than their istiod, which Istio does not support: ${list(far).join("; ")}.`,
            hint: `A pod gets its istiod's version when it is made anew: ${restart(far.map(({ name }) => name))}`,
          },
        ]
      : []),
  ];
  if (problems.length > 0) return failed(...joined(problems), reading);
  if (judged.length === 0) return passed("No workload that was looked at has a proxy of this mesh yet.", reading);
  if (told.length === 0)
    return unknown(
      "The proxies' versions, or istiod's, could not be told: neither their images' tags say, nor do they.",
      "",
      reading,
    );
  const untold = judged.length - told.length;
  const finding = passed(
    `Istio supports the proxies' versions: ${list(told).join("; ")}.${untold > 0 ? ` Of ${untold} more the version is not known.` : ""}`,
    reading,
  );
  const older = told.filter(({ behind }) => behind === 1);
  return older.length > 0 ? { ...finding, warning: toBeMadeAnew(older) } : finding;
}

/** That proxies are of the minor before their istiod's, where, and how long that will do. */
function toBeMadeAnew(
  older: readonly { name: string; proxy: string | undefined; istiod: string | undefined }[],
): string {
  const names = older.map(({ name }) => name);
  const namespaces = listed(names.map((name) => name.slice(0, name.indexOf("/"))));
  const [{ proxy = "", istiod = "" }] = older as [(typeof older)[number]];
  const line = istioLine(proxy);
  const end = line?.end ? `, and Istio ${line.minor} is looked after until ${line.end}` : "";
  return `In ${namespaces} ${older.length === 1 ? "a proxy runs" : `${older.length} proxies run`} Istio ${lineOf(proxy)} under an istiod of ${lineOf(istiod)}: that is supported until istiod goes up again${end}. A pod is of the new version when it is made anew: ${restart(names)}`;
}
