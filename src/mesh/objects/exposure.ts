import type { MeshSpec } from "../spec.ts";
import { GATEWAY_SELECTOR, MTLS_PORT } from "./gateway.ts";
import type { KubernetesObject } from "./object.ts";
import { ownership } from "./ownership.ts";

export const EXPOSURE_NAME = "cross-network-gateway";

/** Where a gateway of somebody else's lets the other networks in, and to what. */
export interface ExposureOf {
  /** Of the gateway's pods. */
  readonly selector: Readonly<Record<string, string>>;
  readonly port: number;
}

/**
 * Exposes services of the cluster through the east-west gateway to the mesh's other networks, and to nobody else.
 * @param hosts by which patterns they are known, by the cluster's domain
 */
export function exposure(
  mesh: Pick<MeshSpec, "id" | "namespace">,
  hosts: readonly string[] = ["*.local"],
  { selector, port }: ExposureOf = { selector: GATEWAY_SELECTOR, port: MTLS_PORT },
): KubernetesObject {
  return {
    apiVersion: "networking.istio.io/v1",
    kind: "Gateway",
    metadata: {
      name: EXPOSURE_NAME,
      namespace: mesh.namespace,
      labels: ownership(mesh, "exposure"),
    },
    spec: {
      selector: { ...selector },
      servers: [
        {
          port: { number: port, name: "tls", protocol: "TLS" },
          // The SNI names the service, so the gateway passes mTLS through and holds no key of anyone's.
          tls: { mode: "AUTO_PASSTHROUGH" },
          hosts: [...hosts],
        },
      ],
    },
  };
}
