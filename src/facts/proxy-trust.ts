// What a running proxy trusts and shows, by its own word.
import type { X509Certificate } from "node:crypto";
import type { Cluster } from "../cluster/cluster.ts";
import type { Issuer } from "../mesh/certificates/chain.ts";
import { readableIn } from "../mesh/certificates/pem.ts";
import { fields, items, text } from "../mesh/fields.ts";

export interface ProxySecrets {
  /** The roots by which it verifies its peers. */
  readonly roots: readonly X509Certificate[];
  /** Its own certificate, and what it shows with it. */
  readonly own: Issuer;
}

/** Envoy's names of what it verifies peers by and what it shows (security/pkg/nodeagent/cache, and its SDS). */
const ROOTS = "ROOTCA";
const OWN = "default";

/**
 * Asks a proxy's Envoy for its certificates, without keys, which it does not give out. Takes `exec` into the pod.
 * @returns `undefined` where it cannot be asked, or says nothing that can be read
 */
export async function readProxySecrets(
  cluster: Cluster,
  namespace: string,
  pod: string,
): Promise<ProxySecrets | undefined> {
  const ref = { apiVersion: "v1", kind: "Pod", namespace, name: pod };
  const command = ["pilot-agent", "request", "GET", "config_dump?mask=dynamic_active_secrets"];
  try {
    const { stdout } = await cluster.exec(ref, "istio-proxy", command);
    // pilot-agent may say something of its own before it.
    return secretsIn(JSON.parse(stdout.slice(stdout.indexOf("{"))));
  } catch {
    // A pod that is just going, or an image without pilot-agent: it is asked again, or its time waited for.
    return undefined;
  }
}

/** Of a configuration dump of Envoy's admin API. */
export function secretsIn(dump: unknown): ProxySecrets | undefined {
  const secrets = items(fields(dump).configs)
    .flatMap((config) => items(fields(config).dynamic_active_secrets))
    .map(fields);
  const of = (name: string) => fields(secrets.find((each) => text(each.name) === name)?.secret);
  const roots = certificates(fields(fields(of(ROOTS).validation_context).trusted_ca));
  const [certificate, ...chain] = certificates(fields(fields(of(OWN).tls_certificate).certificate_chain));
  return roots.length > 0 && certificate ? { roots, own: { certificate, chain } } : undefined;
}

function certificates({ inline_bytes, inline_string }: ReturnType<typeof fields>): X509Certificate[] {
  return readableIn(text(inline_string) ?? Buffer.from(text(inline_bytes) ?? "", "base64").toString("utf8"));
}
