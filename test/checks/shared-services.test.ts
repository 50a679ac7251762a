import { expect, test } from "vitest";
import { sharedServices } from "../../src/checks/shared-services.ts";
import type { KubernetesObject } from "../../src/mesh/objects/object.ts";

const service = (name: string, namespace = "shop", type?: string): KubernetesObject => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name, namespace },
  ...(type ? { spec: { type } } : {}),
});
const local = (host: string, is = true) => ({ host, local: is });

test.each<[string, KubernetesObject[], KubernetesObject[], string[], ReturnType<typeof local>[]?]>([
  ["of both", [service("web"), service("db")], [service("web"), service("cart")], ["shop/web"]],
  ["of one namespace alone", [service("web")], [service("web", "sample")], []],
  ["as another kind of name", [service("web", "shop", "ExternalName")], [service("web")], []],
  ["of the control planes", [service("istiod", "istio-system")], [service("istiod", "istio-system")], []],
  ["of each cluster's own", [service("kubernetes", "default")], [service("kubernetes", "default")], []],
  ["in kube-system", [service("kube-dns", "kube-system")], [service("kube-dns", "kube-system")], []],
  ["of a probe", [service("a", "istio-mesh-probe-1")], [service("a", "istio-mesh-probe-1")], []],
  [
    "kept local",
    [service("web"), service("db")],
    [service("web"), service("db")],
    ["shop/db"],
    [local("web.shop.svc.cluster.local")],
  ],
])("Services %s", (_, own, others, shared, clusterLocal = []) => {
  expect(sharedServices(own, others, { namespace: "istio-system" }, { clusterLocal })).toEqual(shared);
});
