import type { MeshSpec } from "../spec.ts";
import { labelFor } from "./names.ts";
import type { KubernetesObject } from "./object.ts";
import { ownership } from "./ownership.ts";

/** The label by which istiod finds remote secrets. */
export const REMOTE_SECRET_LABEL = "istio/multiCluster";

export interface Secret extends KubernetesObject {
  data?: Record<string, string>;
  type?: string;
}

const encode = (text: string) => Buffer.from(text, "utf8").toString("base64");

/** A Secret's entry as text, or `undefined` where there is none. */
export function secretText(secret: Secret | undefined, key: string): string | undefined {
  const value = secret?.data?.[key];
  return value === undefined ? undefined : Buffer.from(value, "base64").toString("utf8");
}

/** As istioctl names it. A Secret's name may have dots and be long, but has no capitals and no `_`. */
export function remoteSecretName(target: string): string {
  const prefix = "istio-remote-secret-";
  return /^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$/.test(target) && !/[-.]\.|\.-/.test(target)
    ? prefix + target
    : labelFor(prefix, target);
}

/** The secret by which an observer's istiod reads `target`. Its key, not its name, is istiod's ID of the cluster. */
export function remoteSecret(mesh: MeshSpec, target: string, kubeconfig: string): Secret {
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: {
      name: remoteSecretName(target),
      namespace: mesh.namespace,
      labels: { ...ownership(mesh, "remote-secret"), [REMOTE_SECRET_LABEL]: "true" },
      annotations: { "networking.istio.io/cluster": target },
    },
    type: "Opaque",
    data: { [target]: encode(kubeconfig) },
  };
}

/** The control plane's own CA, as istiod reads it when it starts. */
export function cacerts(mesh: MeshSpec, files: Readonly<Record<string, string>>): Secret {
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "cacerts", namespace: mesh.namespace, labels: ownership(mesh, "trust") },
    type: "Opaque",
    data: Object.fromEntries(Object.entries(files).map(([name, text]) => [name, encode(text)])),
  };
}
