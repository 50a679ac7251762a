import { inspectCaCerts } from "../mesh/certificates/inspect.ts";
import { inspectRoot, type RootInfo } from "../mesh/certificates/pem.ts";
import { Failure } from "../mesh/failure.ts";
import type { Finding } from "../mesh/report.ts";
import type { MeshSpec } from "../mesh/spec.ts";
import { failed, type Judgements, passed, skipped, unknown } from "./finding.ts";
import type { Observation } from "./observation.ts";

/** Days before the end of a certificate from which on it is warned of. */
const EARLY = 30;

const DAY = 86_400_000;

/** The checks of one cluster's trust. @param now for the certificates' validity */
export function trustChecks(mesh: MeshSpec, now = new Date()): Judgements<Observation> {
  return {
    "trust.cacerts": (seen) => cacertsAreSound(mesh, seen, now),
    "trust.in-effect": (seen) => cacertsAreInEffect(mesh, seen, now),
    "trust.root": (seen) => rootIsValid(mesh, seen, now),
  };
}

const NO_CACERTS = "There is no Secret cacerts: istiod signs with a root of its own, or another CA does.";

function cacertsAreSound({ namespace }: MeshSpec, seen: Observation, now: Date): Finding {
  const secret = seen.cacerts();
  if (!secret) return skipped(NO_CACERTS);
  const { problems, issuer, anchor, istioGenerated } = inspectCaCerts(secret.data ?? {}, now);
  if (istioGenerated) return skipped("istiod made the Secret cacerts for itself.");
  const reading = {
    source: `Secret ${namespace}/cacerts`,
    values: { issuer: issuer?.subject, notAfter: issuer?.notAfter.toISOString(), rootSha256: anchor?.sha256 },
  };
  if (problems.length > 0 || !issuer) {
    return failed(
      `The Secret ${namespace}/cacerts is not sound: ${problems.join(" ")}`,
      `Issue a new intermediate of the mesh's root, write it to the Secret, and restart istiod: kubectl -n ${namespace} rollout restart deployment -l app=istiod`,
      reading,
    );
  }
  const evidence = `The intermediate "${issuer.subject}" chains to its root and is valid until ${day(issuer.notAfter)}.`;
  const end = soon(`The intermediate "${issuer.subject}"`, issuer.notAfter, now);
  return {
    ...passed(evidence, reading),
    ...(end ? { warning: `${end} Issue a new one of the same root in time.` } : {}),
  };
}

function cacertsAreInEffect({ namespace }: MeshSpec, seen: Observation, now: Date): Finding {
  const secret = seen.cacerts();
  if (!secret) return skipped(NO_CACERTS);
  const { roots } = inspectCaCerts(secret.data ?? {}, now);
  const inEffect = effective(seen);
  const given = roots.map(({ sha256 }) => sha256);
  const reading = {
    source: `Secret ${namespace}/cacerts and ConfigMap ${namespace}/istio-ca-root-cert`,
    values: { cacerts: given, inEffect: inEffect.sha256 },
  };
  if (given.length === 0) return unknown("No root could be read from the Secret cacerts.", "", reading);
  if (given.includes(inEffect.sha256)) return passed("The root in cacerts is the one that workloads get.", reading);
  return failed(
    `The root in the Secret ${namespace}/cacerts is not the one in effect: it was added or changed after istiod started, or istiod was restarted a moment ago and has not told of it yet.`,
    `Restart istiod, then gateways and workloads: kubectl -n ${namespace} rollout restart deployment -l app=istiod`,
    reading,
  );
}

function rootIsValid({ namespace }: MeshSpec, seen: Observation, now: Date): Finding {
  const root = effective(seen);
  const reading = {
    source: `ConfigMap ${namespace}/istio-ca-root-cert`,
    values: { sha256: root.sha256, subject: root.subject, notAfter: root.notAfter.toISOString() },
  };
  if (root.notAfter <= now) {
    return failed(
      `The root of trust "${root.subject}" is past its end, ${day(root.notAfter)}: no certificate of the mesh is valid.`,
      "Make a new root and intermediates; docs/SECURITY.md has the steps.",
      reading,
    );
  }
  const end = soon(`The root of trust "${root.subject}"`, root.notAfter, now);
  return {
    ...passed(`The root in effect has SHA-256 ${root.sha256} and is valid until ${day(root.notAfter)}.`, reading),
    ...(end ? { warning: `${end} Plan its rotation now.` } : {}),
  };
}

/** The root that workloads get. Throws a `Failure` where it cannot be told. */
function effective({ root, istiod }: Observation): RootInfo {
  const pem = root();
  if (!istiod()) {
    throw new Failure("Which root is in effect cannot be told: no istiod runs, which would renew the ConfigMap.");
  }
  if (!pem) {
    throw new Failure(
      "istiod has written no ConfigMap istio-ca-root-cert, from which proxies learn the root.",
      "Look at istiod's log: it writes it to every namespace once it is the leader.",
    );
  }
  return inspectRoot(pem);
}

/** Whether the roots that are in effect are one. Several at once, in part the same, are a rotation under way. */
export function sameRoot(all: readonly Observation[]): Finding {
  const known = all.map((seen) => ({ cluster: seen.spec.name, sha256: effective(seen).sha256 }));
  const byRoot = [...Map.groupBy(known, ({ sha256 }) => sha256)].sort(([, a], [, b]) => b.length - a.length);
  const reading = {
    source: "ConfigMap istio-ca-root-cert of each cluster",
    values: Object.fromEntries(known.map(({ cluster, sha256 }) => [cluster, sha256])),
  };
  const [first, second] = byRoot;
  if (!second) return passed(`All clusters trust the root with SHA-256 ${first?.[0]}.`, reading);
  const names = (same: readonly { cluster: string }[]) => same.map(({ cluster }) => cluster).join(", ");
  const list = byRoot.map(([sha256, same]) => `${names(same)}: SHA-256 ${sha256}`).join("; ");
  // Where most agree it is the others that are wrong.
  const most = first && first[1].length > second[1].length ? first[0] : undefined;
  return {
    ...failed(
      `The clusters do not trust the same root, so their workloads refuse each other's certificates. ${list}.`,
      "Give every cluster an intermediate of one root as the Secret cacerts, then restart istiod, gateways and workloads there; docs/SECURITY.md has the steps that avoid an outage.",
      reading,
    ),
    clusters: known.filter(({ sha256 }) => sha256 !== most).map(({ cluster }) => cluster),
  };
}

function soon(what: string, end: Date, now: Date): string | undefined {
  const days = Math.floor((end.getTime() - now.getTime()) / DAY);
  return days < EARLY ? `${what} is valid for ${days} more day${days === 1 ? "" : "s"} only.` : undefined;
}

function day(date: Date): string {
  return date.toISOString().slice(0, 10);
}
