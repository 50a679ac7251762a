import type { Call } from "./attempt.ts";

/**
 * Why an Envoy refused a request. `unheard`: nobody takes the connection. `late`: there was no answer in time. `closed`: it is
 * taken, and closed before anything is asked. `plain`: what takes it speaks no TLS. `untrusted`: a certificate is not accepted. `empty`: it has no endpoint that is
 * well. `unrouted`: it knows no such Service. `unresolved`: the Service's name does not resolve. `forbidden`: by a policy.
 * `aborted`: by a rule that is to do just that.
 */
export type Why =
  | "unheard"
  | "late"
  | "closed"
  | "plain"
  | "untrusted"
  | "empty"
  | "unrouted"
  | "unresolved"
  | "forbidden"
  | "aborted";

/** By response flags and details, as the Envoy that refused it tells them; where it was not given to, by its words. */
export function whyRefused(call: Call): Why | undefined {
  const { refusal } = call;
  if (!refusal) return byWords(call);
  const { by, flags, details, reason } = refusal;
  const has = (...some: string[]) => some.some((each) => flags.includes(each));
  if (details.startsWith("rbac_access_denied") || details.startsWith("ext_authz_denied") || has("UAEX"))
    return "forbidden";
  if (has("FI")) return "aborted";
  if (has("NR", "NC", "NFCF")) return "unrouted";
  // What the probe itself asks is its sidecar's, by a name that the cluster's DNS has to know.
  if (has("UH", "DF")) return by === "probe" ? "unresolved" : "empty";
  if (has("UT", "DT", "SI")) return "late";
  const transport = `${reason} ${details}`;
  if (/WRONG_VERSION_NUMBER|HTTP_REQUEST|UNKNOWN_PROTOCOL/.test(transport)) return "plain";
  if (isOfCertificate(transport)) return "untrusted";
  if (has("UF"))
    return /delayed_connect_error|delayed connect error|connection_timeout|immediate_connect_error/i.test(transport)
      ? "unheard"
      : "closed";
  if (has("UC", "UR", "LR", "UPE")) return "closed";
  return undefined;
}

/** A reset comes as an error of TLS, too, where it is in the middle of a handshake. */
const isOfCertificate = (text: string) => /CERTIFICATE|ALERT|verify[ _](SAN|cert)/i.test(text);

function byWords({ status, body }: Call): Why | undefined {
  if (status === 403) return "forbidden";
  if (/CERTIFICATE_VERIFY_FAILED|ALERT|certificate/i.test(body)) return "untrusted";
  if (/connection refused|connection timeout|timed out|delayed connect|no route/i.test(body)) return "unheard";
  if (status === 504 || /timeout/i.test(body)) return "late";
  if (/^fault filter abort/i.test(body)) return "aborted";
  // Of a gateway that closes what it takes, and of one that is not there: Envoy says no more of either.
  if (/connection failure|connection termination|reset|disconnect/i.test(body)) return "closed";
  return undefined;
}

/** The AuthorizationPolicy by which it was refused, as `namespace/name`; `undefined`: none that denies, or it was not told. */
export function policyIn({ refusal }: Call): string | undefined {
  const [, namespace, name] =
    /^rbac_access_denied_matched_policy\[ns\[(.+?)\]-policy\[(.+?)\]/.exec(refusal?.details ?? "") ?? [];
  return namespace && name ? `${namespace}/${name}` : undefined;
}
