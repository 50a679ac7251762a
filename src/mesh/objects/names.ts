import { createHash } from "node:crypto";

/** The longest DNS label (RFC 1123), as which Kubernetes takes the names of Services. */
const LONGEST = 63;

/** Whether it is a DNS label as it is. */
export function isDnsLabel(name: string): boolean {
  return name.length <= LONGEST && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(name);
}

/**
 * A name with a cluster's in it, as a DNS label. Istio takes clusters' names that Kubernetes does not take for objects: with
 * capitals, `_` and `.`. Those, and what is too long, stay distinct by a checksum.
 */
export function labelFor(prefix: string, cluster: string): string {
  const name = prefix + cluster;
  if (isDnsLabel(name)) return name;
  const plain = name.toLowerCase().replace(/[^a-z0-9]/g, "-");
  return `${plain.slice(0, 52)}-${createHash("sha256").update(name).digest("hex").slice(0, 10)}`;
}
