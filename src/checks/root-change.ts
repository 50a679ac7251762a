// Where a cluster stands in a change of the mesh's root, by what is seen there, and what keeps it from being changed.
import { createHash, type X509Certificate } from "node:crypto";
import { chainTo, type Issuer, sameAuthority } from "../mesh/certificates/chain.ts";
import { inspectCaCerts } from "../mesh/certificates/inspect.ts";
import { info, readableIn, subjectOf } from "../mesh/certificates/pem.ts";
import { fields, items, text } from "../mesh/fields.ts";
import { MANAGER } from "../mesh/objects/ownership.ts";
import { type Secret, secretText } from "../mesh/objects/secrets.ts";
import { phaseOf, type RootPhase } from "../mesh/root-change.ts";

/** On `cacerts`: what was written there last, and since when every istiod serves it. */
const NOTE = `${MANAGER}/root-change`;

export interface RootNote {
  /** SHA-256 of the root that the mesh changes to, and of those that are to go. */
  readonly to: string;
  readonly from: readonly string[];
  readonly wrote: "trust" | "sign" | "forget";
  /** Of the data that was written: where that is another by now, the rest says nothing. */
  readonly digest: string;
  /** When the last replica was seen to serve it, RFC 3339. */
  readonly served?: string;
}

/** What istiod reads of the Secret. */
const FILES = ["ca-cert.pem", "ca-key.pem", "cert-chain.pem", "root-cert.pem"] as const;
export type CaFiles = Readonly<Record<(typeof FILES)[number], string>>;

/** The files of a Secret as text; what is missing is empty. */
export function filesOf(secret: Secret): CaFiles {
  return Object.fromEntries(FILES.map((name) => [name, secretText(secret, name) ?? ""])) as CaFiles;
}

export function digestOf(files: CaFiles): string {
  return createHash("sha256")
    .update(JSON.stringify(FILES.map((name) => files[name])))
    .digest("hex");
}

/** The annotation by which a later run knows what this one wrote. */
export function annotationOf(note: RootNote): Record<string, string> {
  return { [NOTE]: JSON.stringify(note) };
}

/** What is noted of the data that a Secret holds now. */
export function noteOn(secret: Secret | undefined): RootNote | undefined {
  try {
    const { to, from, wrote, digest, served } = fields(JSON.parse(secret?.metadata.annotations?.[NOTE] ?? ""));
    const isKnown = wrote === "trust" || wrote === "sign" || wrote === "forget";
    if (!secret || !text(to) || !isKnown || digest !== digestOf(filesOf(secret))) return undefined;
    const gone = items(from).flatMap((each) => text(each) ?? []);
    const since = text(served);
    return {
      to: text(to) as string,
      from: gone,
      wrote,
      digest: text(digest) as string,
      ...(since ? { served: since } : {}),
    };
  } catch {
    return undefined;
  }
}

/** The CA in a cluster's Secret, as istiod has it or will. */
export interface SecretRoots {
  /** The Secret that it is in: `cacerts`, or that of the root which istiod made itself. */
  readonly secret: Secret;
  readonly plugged: boolean;
  readonly roots: readonly X509Certificate[];
  readonly issuer: Issuer;
  /** The root that what signs chains to. */
  readonly anchor: X509Certificate | undefined;
  readonly note: RootNote | undefined;
}

/** @param own the Secret of the root that istiod made itself */
export function secretRoots(cacerts: Secret | undefined, own: Secret | undefined): SecretRoots | undefined {
  const inspected = cacerts && inspectCaCerts(cacerts.data ?? {});
  if (cacerts && inspected && !inspected.istioGenerated) {
    const { issuer, roots, anchor } = inspected;
    return issuer && { secret: cacerts, plugged: true, roots, issuer, anchor, note: noteOn(cacerts) };
  }
  const secret = cacerts ?? own;
  const [certificate] = readableIn(secretText(secret, "ca-cert.pem") ?? "");
  if (!secret || !certificate) return undefined;
  const issuer = { certificate, chain: [] };
  return { secret, plugged: false, roots: [certificate], issuer, anchor: certificate, note: undefined };
}

/** What is to be taken out in the end: what signs, unless it is the new root, and what signed when the change began. */
export function oldRoots({ roots, anchor, note }: SecretRoots, fresh: X509Certificate): X509Certificate[] {
  return roots.filter(
    (each) =>
      !sameAuthority(each, fresh) &&
      ((anchor && sameAuthority(each, anchor)) || (note?.from.includes(info(each).sha256) ?? false)),
  );
}

/** How far a Secret is on the way to a root. */
export function standing(seen: SecretRoots, fresh: X509Certificate) {
  const holds = {
    fresh: seen.roots.some((each) => sameAuthority(each, fresh)),
    others: oldRoots(seen, fresh).length > 0,
  };
  const signsFresh = chainTo([fresh], seen.issuer) !== undefined;
  return { holds, signsFresh, phase: phaseOf({ holds, signsFresh }) };
}

/** Since when what a Secret holds is served, by what is noted and by what is in effect; `undefined`: that is to be seen to. */
export function servedSince(
  seen: SecretRoots,
  phase: RootPhase | undefined,
  inEffect: readonly X509Certificate[] | undefined,
): Date | undefined {
  // What was there before the change is as it is.
  if (phase === 0 || (phase === 3 && !seen.note)) return new Date(0);
  if (!seen.note?.served || !inEffect || !sameRoots(seen.roots, inEffect)) return undefined;
  return new Date(seen.note.served);
}

export function sameRoots(some: readonly X509Certificate[], others: readonly X509Certificate[]): boolean {
  const within = (one: readonly X509Certificate[], other: readonly X509Certificate[]) =>
    one.every((each) => other.some((root) => sameAuthority(root, each)));
  return within(some, others) && within(others, some);
}

/** In which phase of a change a Secret is, by what is noted on it; `undefined` where none is under way. */
export function notedPhase(secret: Secret | undefined): { phase: RootPhase; to: string } | undefined {
  const seen = secret && secretRoots(secret, undefined);
  const fresh = seen?.roots.find((each) => info(each).sha256 === seen.note?.to);
  const phase = seen && fresh && standing(seen, fresh).phase;
  return phase === 1 || phase === 2 ? { phase, to: info(fresh as X509Certificate).sha256 } : undefined;
}

/** Who writes the Secret by themselves, and would take a change back: by what their tools leave on it. */
const KEEPERS: readonly (readonly [prefix: string, name: string])[] = [
  ["cert-manager.io/", "cert-manager"],
  ["argocd.argoproj.io/", "Argo CD"],
  ["kustomize.toolkit.fluxcd.io/", "Flux"],
  ["helm.toolkit.fluxcd.io/", "Flux"],
  ["meta.helm.sh/release-name", "Helm"],
  ["reconcile.external-secrets.io/", "External Secrets"],
];

/**
 * Why a cluster's root cannot be changed by this action, each in one sentence.
 * @param keyIds of a certificate: its own and its issuer's, where it names them
 */
export function obstacles(
  seen: SecretRoots | undefined,
  fresh: X509Certificate,
  namespace: string,
  keyIds: (certificate: X509Certificate) => { own: string | undefined; issuer: string | undefined },
): string[] {
  if (!seen) return ["What signs there cannot be read from the Secrets cacerts and istio-ca-secret."];
  const { secret, plugged, roots, issuer } = seen;
  const name = `The Secret ${namespace}/${secret.metadata.name}`;
  const data = secret.data ?? {};
  const found: string[] = [];
  if (plugged && data["tls.crt"] !== undefined)
    found.push(`${name} has the form of cert-manager's (tls.crt): whoever issues it has to change its root.`);
  if (plugged && data["ca-crl.pem"] !== undefined)
    found.push(
      `${name} holds ca-crl.pem: proxies refuse what is signed by a CA of which it has no list, as the new root's.`,
    );
  if (!plugged && data["ca-key.pem"] === undefined) found.push(`${name} has no ca-key.pem.`);
  const marks = [...Object.keys(secret.metadata.annotations ?? {}), ...Object.keys(secret.metadata.labels ?? {})];
  const keeper =
    secret.metadata.ownerReferences?.[0]?.kind ??
    KEEPERS.find(([prefix]) => marks.some((mark) => mark.startsWith(prefix)))?.[1];
  if (plugged && keeper)
    found.push(`${name} is kept by ${keeper}, which would take the change back: change the root there.`);
  // Who verifies picks a root by its name, and by its key's identifier where the certificate below names it, and tries no other.
  const path = chainTo(roots, issuer);
  const anchor = path?.at(-1);
  const rivals = [...roots, fresh].filter(
    (each) => anchor && each.subject === anchor.subject && !sameAuthority(each, anchor),
  );
  const below = path && path.length > 1 ? path.at(-2) : undefined;
  const named = below ? keyIds(below).issuer : anchor && keyIds(anchor).own;
  if (anchor && rivals.length > 0 && !named)
    found.push(
      `The roots have one name, "${subjectOf(anchor)}", and the certificate ${below ? `"${subjectOf(below)}"` : "of the old one"} has no key identifier by which they are told apart.`,
    );
  return found;
}
