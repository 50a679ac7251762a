import { parse } from "yaml";
import type { RunResult } from "../runner.ts";
import type { Cluster } from "./cluster.ts";

/** Every string that a run must not show: from the kubeconfigs, and from the secrets that the mesh has made. */
export async function secretStrings(clusters: readonly Cluster[]): Promise<Set<string>> {
  const secrets = new Set<string>();
  const add = (value: unknown) => {
    if (typeof value === "string") for (const form of forms(value)) secrets.add(form);
  };
  for (const cluster of clusters) {
    for (const { user } of parse(cluster.kubeconfig).users ?? []) {
      for (const field of ["token", "password", "client-key-data"]) add(user[field]);
    }
    for (const { data, type } of await cluster.list("secrets", "-n", "istio-system")) {
      // Certificates are public; keys, tokens and kubeconfigs are not.
      for (const [key, value] of Object.entries<string>(data ?? {})) {
        const decoded = Buffer.from(value, "base64").toString();
        if (/^apiVersion:/m.test(decoded)) add(parse(decoded).users[0].user.token);
        else if (/PRIVATE KEY/.test(decoded) || (type === "kubernetes.io/service-account-token" && key === "token"))
          add(value);
      }
    }
  }
  return secrets;
}

/** A value as it is, decoded, and (of a key in several lines) each line, for a line alone is a leak too. */
function forms(value: string): string[] {
  const decoded = Buffer.from(value, "base64").toString("latin1");
  const texts = /^[\x20-\x7e\r\n]+$/.test(decoded) ? [value, decoded] : [value];
  return texts
    .flatMap((text) => [text, ...text.split(/\r?\n/)])
    .map((text) => text.trim())
    .filter((text) => text.length >= 16 && !text.startsWith("-----"));
}

/** Where a run shows a secret; the secrets themselves are not repeated. The masks are not trusted to hide anything. */
export function leaks(result: RunResult, secrets: ReadonlySet<string>): string[] {
  const unmasked = (text: string) =>
    text
      .split("\n")
      .filter((line) => !line.startsWith("::add-mask::"))
      .join("\n");
  const places = {
    "the log": unmasked(result.stdout),
    "standard error": unmasked(result.stderr),
    "post's log": unmasked(result.postStdout),
    "the summary": result.summary,
    "the outputs": JSON.stringify(result.outputs),
    "the report": JSON.stringify(result.report ?? {}),
    ...Object.fromEntries(result.left.map((file) => [`RUNNER_TEMP/${file.path}`, file.content])),
  };
  return Object.entries(places)
    .filter(([, text]) => [...secrets].some((secret) => text.includes(secret)))
    .map(([place]) => place);
}
