import type { MeshSpec } from "../spec.ts";
import { GATEWAY_SELECTOR, MTLS_PORT } from "./gateway.ts";
import type { KubernetesObject } from "./object.ts";
import { ownership } from "./ownership.ts";

/** Exposes all services of the cluster through the east-west gateway to the mesh's other networks, and to nobody else. */
export function exposure(mesh: MeshSpec): KubernetesObject {
  return {
    apiVersion: "networking.istio.io/v1",
    kind: "Gateway",
    metadata: {
      name: "cross-network-gateway",
      namespace: mesh.namespace,
      labels: ownership(mesh, "exposure"),
    },
    spec: {
      selector: { ...GATEWAY_SELECTOR },
      servers: [
        {
          port: { number: MTLS_PORT, name: "tls", protocol: "TLS" },
          // The SNI names the service, so the gateway passes mTLS through and holds no key of anyone's.
          tls: { mode: "AUTO_PASSTHROUGH" },
          hosts: ["*.local"],
        },
      ],
    },
  };
}
