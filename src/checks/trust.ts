import type { X509Certificate } from "node:crypto";
import { SPIRE_DRIVER } from "../facts/proxies.ts";
import type { Signer } from "../facts/signer.ts";
import { otherCa } from "../facts/trust.ts";
import { type Authority, anchorOf, authorityOf, distrust, rootSums, untrusted } from "../mesh/authority.ts";
import { chainTo, type Issuer, sameAuthority } from "../mesh/certificates/chain.ts";
import { inspectCaCerts } from "../mesh/certificates/inspect.ts";
import { info, readableIn, selfSigned, subjectOf } from "../mesh/certificates/pem.ts";
import { Failure } from "../mesh/failure.ts";
import type { Finding, Reading } from "../mesh/report.ts";
import { PHASE_WORDS } from "../mesh/root-change.ts";
import type { MeshSpec } from "../mesh/spec.ts";
import { betweenRoots } from "../mesh/trust.ts";
import { listed } from "../mesh/words.ts";
import { writtenAt } from "../mesh/written.ts";
import { failed, type Judgements, passed, skipped, unknown } from "./finding.ts";
import type { Observation } from "./observation.ts";
import { readable } from "./part.ts";
import { notedPhase } from "./root-change.ts";
import { selfSignedCa } from "./survey.ts";

/** Days before the end of a certificate from which on it is warned of. */
const EARLY = 30;

const DAY = 86_400_000;

/** The checks of one cluster's trust. @param now for the certificates' validity */
export function trustChecks(mesh: MeshSpec, now = new Date()): Judgements<Observation> {
  return {
    "trust.cacerts": (seen) => cacertsAreSound(mesh, seen, now),
    "trust.in-effect": (seen) => cacertsAreInEffect(mesh, seen, now),
    "trust.root": (seen) => rootIsValid(seen, mesh, now),
  };
}

/** Why no `cacerts` counts; `undefined` where it does. */
function notByCacerts({ namespace }: MeshSpec, seen: Observation): string | undefined {
  if (!seen.cacerts()) return "There is no Secret cacerts: istiod signs with a root of its own, or another CA does.";
  const other = signedElsewhere(namespace, seen);
  return other && `Another CA signs, not istiod: ${other}. The Secret cacerts counts for nothing.`;
}

/** Where the identity could not be read, what istiod is told itself has to do. */
function signedElsewhere(namespace: string, seen: Observation): string | undefined {
  return otherCa(readable(seen.istiod), namespace, readable(seen.identity)?.caAddress);
}

function cacertsAreSound(mesh: MeshSpec, seen: Observation, now: Date): Finding {
  const { namespace } = mesh;
  const none = notByCacerts(mesh, seen);
  if (none) return skipped(none);
  const { problems, issuer, anchor, istioGenerated } = inspectCaCerts(seen.cacerts()?.data ?? {}, now);
  if (istioGenerated) return skipped("istiod made the Secret cacerts for itself.");
  const own = issuer && info(issuer.certificate);
  const reading = {
    source: `Secret ${namespace}/cacerts`,
    values: {
      issuer: own?.subject,
      notAfter: own?.notAfter.toISOString(),
      rootSha256: anchor && info(anchor).sha256,
    },
  };
  if (problems.length > 0 || !own) {
    return failed(
      `The Secret ${namespace}/cacerts is not sound: ${problems.join(" ")}`,
      `Issue a new intermediate of the mesh's root, write it to the Secret, and restart istiod: kubectl -n ${namespace} rollout restart deployment -l app=istiod`,
      reading,
    );
  }
  const evidence = `The intermediate "${own.subject}" chains to its root and is valid until ${day(own.notAfter)}.`;
  const end = soon(`The intermediate "${own.subject}"`, own.notAfter, now);
  const change = notedPhase(seen.cacerts());
  const warning = [
    ...(end ? [`${end} Issue a new one of the same root in time.`] : []),
    ...(change
      ? [
          `A change of the root to that with SHA-256 ${change.to} is under way, in phase ${change.phase} of 3: ${PHASE_WORDS[change.phase]}. \`install\` with \`trust-transition: true\` goes on with it.`,
        ]
      : []),
  ].join(" ");
  return { ...passed(evidence, reading), ...(warning ? { warning } : {}) };
}

function cacertsAreInEffect(mesh: MeshSpec, seen: Observation, now: Date): Finding {
  const { namespace } = mesh;
  const none = notByCacerts(mesh, seen);
  if (none) return skipped(none);
  const { roots, issuer } = inspectCaCerts(seen.cacerts()?.data ?? {}, now);
  const { source, roots: inEffect } = effective(seen);
  const reading = {
    source: `Secret ${namespace}/cacerts and ${source}`,
    values: { cacerts: sums(roots), inEffect: sums(inEffect) },
  };
  if (roots.length === 0 || !issuer) return unknown("No root could be read from the Secret cacerts.", "", reading);
  const restart = `kubectl -n ${namespace} rollout restart deployment -l app=istiod`;
  if (!chainTo(inEffect, issuer)) {
    return failed(
      `The root in the Secret ${namespace}/cacerts is not the one in effect: it was added or changed after istiod started, or istiod was restarted a moment ago and has not told of it yet.`,
      `Restart istiod, then gateways and workloads: ${restart}`,
      reading,
    );
  }
  const signing = bySomethingElse(seen, issuer);
  const [first] = signing;
  const readings = [reading, ...(first ? [signersReading(seen)] : [])];
  const over = signing.find(({ chainEnds }) => chainEnds && chainEnds <= now);
  if (over?.chainEnds)
    return failed(
      `${over.pod} signs by a CA that is past its end, ${day(over.chainEnds)}, and has not taken up the one in the Secret ${namespace}/cacerts: no certificate that it issues is valid.`,
      `Restart istiod: ${restart}`,
      ...readings,
    );
  const unasked = whyUnasked(seen);
  if (unasked)
    return unknown(
      `Whether every istiod has taken up what the Secret ${namespace}/cacerts holds since it was last written is not known: ${unasked.message.replace(/\.$/, "")}.`,
      unasked.hint ?? `If not, restart it: ${restart}`,
      reading,
    );
  const [coming, going] = [without(roots, inEffect), without(inEffect, roots)];
  const pending = [
    ...(coming.length > 0 ? [`workloads do not trust ${named(coming)} yet`] : []),
    ...(going.length > 0 ? [`they still trust ${named(going)}`] : []),
  ].join(", and ");
  const warning = [
    ...(first ? [`${staleIn(namespace, seen, signing, now)} ${restart}`] : []),
    ...(pending && !first
      ? [`The Secret ${namespace}/cacerts holds other roots than are in effect: ${pending}. ${restart}`]
      : []),
  ].join(" ");
  return {
    ...passed("The root in cacerts is the one that workloads get.", ...readings),
    ...(warning ? { warning } : {}),
  };
}

/** How long an istiod that can may take to notice a Secret: its kubelet brings it once a minute or so. Milliseconds. */
const NOTICED = 3 * 60_000;

/** Those replicas of istiod that sign by something else than the Secret `cacerts` holds, by when that ends. */
function bySomethingElse(seen: Observation, { certificate, chain }: Issuer): readonly Signer[] {
  // The metric is of the chain's first certificate, in whole seconds.
  const end = (chain[0] ?? certificate).validToDate.getTime();
  // A root of one's own need not have a chain, and then none is told of.
  const isRoot = selfSigned(certificate);
  return (readable(seen.signers) ?? []).filter(({ chainEnds }) =>
    !chainEnds ? !isRoot : Math.abs(chainEnds.getTime() - end) >= 1_000,
  );
}

function staleIn(namespace: string, { cacerts }: Observation, signing: readonly Signer[], now: Date): string {
  const written = writtenAt(cacerts()?.metadata ?? { name: "" }, ["data"]);
  const by = listed(
    signing.map(
      ({ pod, chainEnds }) =>
        `${pod} by ${chainEnds ? `one that is valid until ${day(chainEnds)}` : "a root that it made itself"}`,
    ),
  );
  const since = written ? `, which was written ${written.toISOString().slice(0, 16).replace("T", " ")} UTC` : "";
  const when =
    written && now.getTime() - written.getTime() < NOTICED
      ? "It takes a new intermediate of the same roots up by itself within two minutes; else restart it:"
      : "It will at its next restart, whenever that is; have it do so now:";
  return `Not every istiod signs by the CA in the Secret ${namespace}/cacerts${since}, but ${by}. ${when}`;
}

/** Why it is not known what the replicas sign by that may not have taken up the Secret. */
function whyUnasked({ signers }: Observation): Failure | undefined {
  try {
    signers();
    return undefined;
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
}

function signersReading(seen: Observation): Reading {
  return {
    source: "pilot-discovery request GET /metrics, citadel_server_cert_chain_expiry_timestamp",
    values: Object.fromEntries(
      (readable(seen.signers) ?? []).map(({ pod, chainEnds }) => [pod, chainEnds?.toISOString() ?? "its own root"]),
    ),
  };
}

/** Those of one bundle that the other does not have. */
function without(some: readonly X509Certificate[], others: readonly X509Certificate[]): X509Certificate[] {
  return some.filter((each) => !others.some((other) => sameAuthority(each, other)));
}

function rootIsValid(seen: Observation, { namespace }: MeshSpec, now: Date): Finding {
  const { source, roots } = effective(seen);
  const { issuer } = authority(namespace, seen);
  const anchor = issuer && anchorOf({ issuer, trusted: roots });
  // Another copy of it may be valid still; and which one signs may not be known.
  const all = anchor ? roots.filter((each) => sameAuthority(each, anchor)) : [...roots];
  const root = info(all.sort((a, b) => b.validToDate.getTime() - a.validToDate.getTime())[0] as X509Certificate);
  const reading = {
    source,
    values: {
      sha256: root.sha256,
      subject: root.subject,
      notAfter: root.notAfter.toISOString(),
      ...(roots.length > 1 ? { all: sums(roots) } : {}),
    },
  };
  if (root.notAfter <= now) {
    return failed(
      `The root of trust "${root.subject}" is past its end, ${day(root.notAfter)}: no certificate of the mesh is valid.`,
      "Make a new root and intermediates; docs/SECURITY.md has the steps.",
      reading,
    );
  }
  const end = soon(`The root of trust "${root.subject}"`, root.notAfter, now);
  const over = roots.filter(({ validToDate }) => validToDate <= now);
  const warning = [
    ...(end ? [`${end} Plan its rotation now.`] : []),
    ...(over.length > 0
      ? [`${source} still holds ${named(over)}, past ${over.length > 1 ? "their ends" : "its end"}: to be taken out.`]
      : []),
  ].join(" ");
  return {
    ...passed(`The root in effect has SHA-256 ${root.sha256} and is valid until ${day(root.notAfter)}.`, reading),
    ...(warning ? { warning } : {}),
  };
}

/** The roots that workloads get. Throws a `Failure` where they cannot be told. */
function effective({ bundle, istiod }: Observation): { source: string; roots: X509Certificate[] } {
  const { source, pem } = bundle();
  if (!istiod()) {
    throw new Failure(`Which root is in effect cannot be told: no istiod runs, which would renew the ${source}.`);
  }
  if (!pem) {
    throw new Failure(
      `istiod has written no ${source}, from which proxies learn the root.`,
      "Look at istiod's log: it writes it once it is the leader.",
    );
  }
  const roots = readableIn(pem);
  if (roots.length === 0) throw new Failure(`The ${source} holds no certificate that can be read.`);
  return { source, roots };
}

/** The CA of a cluster's mesh, as it is in effect. */
export function authority(namespace: string, seen: Observation): Authority {
  const { added, idle } = seen.bundle();
  const trusted = [...effective(seen).roots, ...readableIn(added)];
  if (signedElsewhere(namespace, seen)) return authorityOf(trusted, [], readableIn(idle));
  const cacerts = seen.cacerts();
  const plugged = cacerts && inspectCaCerts(cacerts.data ?? {});
  // What it signs by instead is known by its end alone.
  if (plugged?.issuer && bySomethingElse(seen, plugged.issuer).length > 0)
    return authorityOf(trusted, [], readableIn(idle));
  const own = selfSignedCa(plugged?.istioGenerated ? cacerts : seen.selfSigned())?.issuer;
  return authorityOf(trusted, [plugged?.issuer, own], readableIn(idle));
}

/** The SHA-256 of the root that a cluster signs by; `undefined` where it is not known. */
export function rootSum(mesh: MeshSpec, seen: Observation): string | undefined {
  const anchor = readable(() => anchorOf(authority(mesh.namespace, seen)));
  return anchor && info(anchor).sha256;
}

/** Whether most of the workloads that run have their certificates from SPIRE. */
function bySpire(seen: Observation): boolean {
  const sidecars = (readable(seen.sample)?.workloads ?? []).filter(({ proxy }) => proxy?.role === "sidecar");
  const some = sidecars.filter(({ proxy }) => proxy?.bySpire);
  return some.length > 0 && some.length * 2 >= sidecars.length;
}

/** Whether what signs in each cluster is trusted in every other one. */
export function sameRoot({ namespace }: MeshSpec, all: readonly Observation[], now = new Date()): Finding {
  const spire = all.filter(bySpire).map(({ spec }) => spec.name);
  if (spire.length > 0)
    return skipped(
      `Workloads of ${listed(spire)} have their certificates and roots from SPIRE (${SPIRE_DRIVER}), not from istiod, and no object tells which: whether the clusters trust each other is shown by requests alone.`,
    );
  const authorities = new Map(all.map((seen) => [seen.spec.name, authority(namespace, seen)]));
  const signs = rootSums(authorities);
  const reading = {
    source: "istiod's CA and the roots in effect in each cluster",
    values: Object.fromEntries(
      [...authorities].map(([name, { issuer, trusted }]) => [
        name,
        { signsBy: issuer ? signs.get(name) : "another CA", trusts: sums(trusted) },
      ]),
    ),
  };
  const found = distrust(authorities, now);
  const refused = found.filter(({ why }) => why !== "unknown");
  if (refused.length > 0) {
    const { list, note, clusters } = untrusted(authorities, refused);
    return {
      ...failed(
        `The clusters do not trust the same roots, so workloads refuse each other's certificates. A root is not trusted everywhere: ${list}.${note}`,
        "Give every cluster an intermediate of one root as the Secret cacerts, then restart istiod, gateways and workloads there; docs/SECURITY.md has the steps that avoid an outage.",
        reading,
      ),
      clusters,
    };
  }
  const between = betweenRoots(authorities, now);
  if (found.length > 0)
    return { ...unknown(between ?? "", "", reading), clusters: untrusted(authorities, found).clusters };
  if (between) return { ...passed("Every cluster trusts what signs in the others.", reading), warning: between };
  const [first] = authorities.values();
  const evidence = first?.issuer
    ? `All clusters trust the root with SHA-256 ${[...signs.values()][0]}.`
    : "All clusters trust the same roots.";
  return passed(evidence, reading);
}

function sums(certificates: readonly X509Certificate[]): string[] {
  return certificates.map((each) => info(each).sha256);
}

function named(certificates: readonly X509Certificate[]): string {
  return certificates.map((each) => `"${subjectOf(each)}" (SHA-256 ${info(each).sha256})`).join(", ");
}

function soon(what: string, end: Date, now: Date): string | undefined {
  const days = Math.floor((end.getTime() - now.getTime()) / DAY);
  return days < EARLY ? `${what} is valid for ${days} more day${days === 1 ? "" : "s"} only.` : undefined;
}

function day(date: Date): string {
  return date.toISOString().slice(0, 10);
}
