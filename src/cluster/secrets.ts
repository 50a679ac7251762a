import { isWithheld, withhold } from "../mesh/redact.ts";
import { parseYaml } from "../mesh/yaml.ts";
import { credentialsIn } from "./kubeconfig.ts";

// biome-ignore lint/suspicious/noExplicitAny: whatever an API server has
type Json = any;

/** Sees to it that what an object or a list of objects holds in secret is never told. */
export function withholdContents(object: Json): void {
  switch (object?.kind) {
    case "Secret":
      withholdSecret(object);
      break;
    case "SecretList":
      if (Array.isArray(object.items)) object.items.forEach(withholdSecret);
      break;
    case "TokenRequest":
      withholdText(object.status?.token);
      break;
    case "TokenReview":
      withholdText(object.spec?.token);
  }
}

function withholdSecret(secret: Json): void {
  const encoded = Object.entries(secret?.data ?? {}).map(([key, value]) => [key, value, true] as const);
  const plain = Object.entries(secret?.stringData ?? {}).map(([key, value]) => [key, value, false] as const);
  for (const [key, value, isEncoded] of [...encoded, ...plain]) {
    // The same Secrets are read again and again.
    if (typeof value !== "string" || isWithheld(value)) continue;
    const text = isEncoded ? Buffer.from(value, "base64").toString("utf8") : value;
    const credentials = kubeconfigCredentials(text);
    if (credentials) credentials.forEach(withhold);
    else if (isSecret(key, text)) withhold(text);
    else continue;
    // As it stands there: a line break at its end, say, makes another of it.
    withhold(value);
  }
}

function withholdText(value: unknown): void {
  if (typeof value === "string") withhold(value);
}

/** Of a kubeconfig only the credentials: its other lines are everywhere. */
function kubeconfigCredentials(text: string): string[] | undefined {
  if (!/\busers\b/.test(text)) return undefined;
  const parsed = parseYaml(text);
  const users = "value" in parsed ? (parsed.value as Json)?.users : undefined;
  return Array.isArray(users) ? users.flatMap((entry) => credentialsIn(entry?.user)) : undefined;
}

/** Names, of a namespace say, are no secrets. */
function isSecret(key: string, text: string): boolean {
  return (
    /token|password|key/i.test(key) || /-----BEGIN /.test(text) || (text.length >= 16 && !/^[a-z0-9.-]+$/.test(text))
  );
}
