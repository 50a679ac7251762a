import { expect, test } from "vitest";
import { isExposed, sharedServices } from "../../src/checks/shared-services.ts";
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

test.each<[string, { namespace: string; name?: string }[] | undefined, boolean]>([
  ["all are", undefined, true],
  ["none is", [], false],
  ["its namespace is", [{ namespace: "shop" }], true],
  ["it is", [{ namespace: "shop", name: "web" }], true],
  ["another is", [{ namespace: "shop", name: "db" }], false],
  ["one of another namespace is", [{ namespace: "bank", name: "web" }], false],
])("a Service is exposed where %s", (_, exposed, is) => {
  expect(isExposed(exposed ? { exposed } : {}, "shop/web")).toBe(is);
});
