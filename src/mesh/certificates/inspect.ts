import { createPrivateKey, type X509Certificate } from "node:crypto";
import { chainTo, type Issuer, sameAuthority } from "./chain.ts";
import { constraints } from "./constraints.ts";
import { certificatesIn, expiry, parse, subjectOf } from "./pem.ts";

export interface CaCertsInspection {
  /** All roots of the bundle, in its order: more than one while a root is being rotated. */
  readonly roots: readonly X509Certificate[];
  /** That one of them which the issuing certificate's chain ends in; absent where it ends in none. */
  readonly anchor?: X509Certificate;
  /** What istiod issues with; absent where there is no certificate that can be read. */
  readonly issuer?: Issuer;
  /** istiod made it for itself (`USE_CACERTS_FOR_SELF_SIGNED_CA`): a self-signed root under the name `cacerts`. */
  readonly istioGenerated: boolean;
  /** Each in one sentence, without key material. Empty: istiod can issue from it and peers can verify what it issues. */
  readonly problems: readonly string[];
}

/**
 * Examines a Secret `cacerts` by the rules that istiod applies at start (pilot/pkg/bootstrap/istio_ca.go and
 * security/pkg/pki/util/keycertbundle.go), and by what its peers need. Never throws: what is wrong is in `problems`.
 * @param data the Secret's `data` as the API gives it: values in base64
 */
export function inspectCaCerts(data: Readonly<Record<string, string>>, now = new Date()): CaCertsInspection {
  const problems: string[] = [];
  const text = (key: string) => Buffer.from(data[key] ?? "", "base64").toString("utf8");
  // istiod takes the names of kubernetes.io/tls as soon as there is a tls.crt, whatever else is there.
  const names =
    data["tls.crt"] === undefined
      ? { cert: "ca-cert.pem", key: "ca-key.pem", root: "root-cert.pem", chain: ["cert-chain.pem"] }
      : { cert: "tls.crt", key: "tls.key", root: "ca.crt", chain: ["tls.crt", "ca.crt"] };
  const missing = [...new Set([names.cert, names.key, names.root, ...names.chain])].filter(
    (name) => data[name] === undefined,
  );
  if (missing.length > 0)
    problems.push(`${missing.join(", ")} ${missing.length > 1 ? "are" : "is"} missing: istiod does not start with it.`);

  const read = (name: string): X509Certificate[] => {
    const blocks = certificatesIn(text(name)).map(parse);
    if (blocks.includes(undefined)) problems.push(`${name} holds something that is not a certificate.`);
    return blocks.filter((cert) => cert !== undefined);
  };
  const files = new Map([...new Set([names.cert, names.root, ...names.chain])].map((name) => [name, read(name)]));
  for (const name of [names.cert, names.root])
    if (data[name] !== undefined && files.get(name)?.length === 0) problems.push(`${name} holds no PEM certificate.`);
  const cert = files.get(names.cert)?.[0];
  const roots = files.get(names.root) ?? [];
  // Its own signing certificate is a root where istiod signed itself; its chain is empty then.
  const chain = names.chain.flatMap((name) => files.get(name) ?? []);
  // Roots go out with the chain (security/pkg/nodeagent/cache).
  const issuer = cert && { certificate: cert, chain: [...chain, ...roots] };
  let anchor: X509Certificate | undefined;

  if (issuer && roots.length > 0) {
    const path = chainTo(roots, issuer, now) ?? chainTo(roots, issuer);
    anchor = path?.at(-1);
    if (!path) problems.push(`${names.cert} does not chain to a root in ${names.root}.`);
    else problems.push(...[issuer.certificate, ...path.slice(1)].flatMap((link, i) => linkProblems(link, i, now)));
    if (!issuer.chain.some((each) => sameAuthority(each, issuer.certificate)))
      problems.push(
        `${names.chain.join(", ")} does not hold ${names.cert}: peers cannot verify the workloads' certificates.`,
      );
  } else if (cert) problems.push(...linkProblems(cert, 0, now));

  if (data[names.key] !== undefined) {
    try {
      const key = createPrivateKey(text(names.key));
      if (cert && !cert.checkPrivateKey(key)) problems.push(`${names.key} does not belong to ${names.cert}.`);
    } catch {
      // The library's message may quote what it read, so it is left out.
      problems.push(`${names.key} is not a PEM private key that can be read without a password.`);
    }
  }
  return {
    roots,
    ...(anchor ? { anchor } : {}),
    ...(issuer ? { issuer } : {}),
    istioGenerated: data["istio-generated"] !== undefined,
    problems,
  };
}

const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";

const ANY_EXTENDED_KEY_USAGE = "2.5.29.37.0";

/** What is wrong with one certificate of a chain. @param below how many intermediates follow it downwards */
function linkProblems(cert: X509Certificate, below: number, now: Date): string[] {
  const name = `The certificate "${subjectOf(cert)}"`;
  const { ca, pathLength, signs, eku } = constraints(cert);
  const problems: string[] = [];
  const validity = expiry(cert, now);
  if (validity) problems.push(`${name} ${validity}.`);
  if (!ca || !signs) problems.push(`${name} may not issue certificates (basicConstraints CA, keyUsage keyCertSign).`);
  else if (pathLength !== undefined && pathLength < below)
    problems.push(`${name} allows ${pathLength} intermediates below it (pathlen), but there are ${below}.`);
  // Go verifies the chain for server authentication when nothing else is asked for, and so istiod does.
  if (eku.length > 0 && !eku.includes(SERVER_AUTH) && !eku.includes(ANY_EXTENDED_KEY_USAGE))
    problems.push(`${name} is limited to other uses than server authentication (extendedKeyUsage).`);
  return problems;
}
