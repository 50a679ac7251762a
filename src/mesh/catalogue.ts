import type { Phase } from "./phases.ts";

/** What a check is about. */
export const CATEGORIES = {
  preflight: "Preflight",
  plan: "Plan",
  install: "Installation",
  rotate: "Rotation",
  uninstall: "Uninstallation",
  cluster: "Clusters",
  "control-plane": "Control planes",
  trust: "Trust",
  gateway: "East-west gateways",
  remote: "Remote access",
  workloads: "Workloads",
  traffic: "Traffic",
  leftover: "Leftovers",
  service: "Services",
} as const;
export type Category = keyof typeof CATEGORIES;

interface Entry {
  readonly category: Category;
  readonly phase: Phase;
  /** What is so when it passed. */
  readonly title: string;
}

const entry =
  (category: Category, phase: Phase) =>
  (title: string): Entry => ({ category, phase, title });
const preflight = entry("preflight", "preflight");
const plan = entry("plan", "plan");
const step = (phase: Phase, title: string) => entry("install", phase)(title);
const rotation = (phase: Phase, title: string) => entry("rotate", phase)(title);
const unlink = entry("uninstall", "unlinking");
const remove = entry("uninstall", "removal");
const cluster = entry("cluster", "verification");
const controlPlane = entry("control-plane", "verification");
const trust = entry("trust", "verification");
const gateway = entry("gateway", "verification");
const remote = entry("remote", "verification");
const workloads = entry("workloads", "verification");
const leftover = entry("leftover", "verification");
const service = entry("service", "verification");
const traffic = entry("traffic", "traffic");

/** Every check that a report can hold. An ID keeps its meaning as long as `SCHEMA_VERSION` is the same. */
export const CHECKS = {
  "preflight.api": preflight("The API server answers"),
  "preflight.rights": preflight("The kubeconfig's user may do all that the run needs"),
  "preflight.read": preflight("What is there could be read"),
  "preflight.readers": preflight("No other cluster would go on reading the one that is taken out"),
  "preflight.control-plane": preflight("The control plane is, or can become, the mesh's"),
  "preflight.remote-secrets": preflight("No remote secret is in the way"),
  "preflight.reader-role": preflight("The reader's role exists"),
  "preflight.operator": preflight("The Sail Operator can install the wanted version"),
  "preflight.support": preflight("The versions are looked after, and go together"),
  "preflight.images": preflight("Where the images come from is decided"),
  "preflight.ownership": preflight("Nothing that somebody else made is in the way"),
  "preflight.dry-run": preflight("What is to be written would be taken"),
  "preflight.distinct": preflight("The kubeconfigs lead to different clusters"),
  "preflight.version": preflight("What runs can become the wanted version"),
  "preflight.lease": preflight("No other run works on the clusters"),
  "preflight.trust": preflight("All clusters trust, or can trust, what signs in the others"),
  "preflight.istioctl": preflight("istioctl is at hand"),
  "preflight.helm": preflight("Helm is at hand"),

  "plan.objects": plan("What would become of the cluster's objects is known"),
  "plan.remote-secrets": plan("What would become of the cluster's remote secrets is known"),

  "install.root-change": step("trust", "The root of trust is changed as far as it can be now"),
  "install.trust": step("trust", "The control plane's CA is in place"),
  "install.operator": step("controlPlane", "The Sail Operator is installed"),
  "install.reconciled": step("controlPlane", "The control plane is laid out"),
  "install.istiod": step("controlPlane", "istiod is ready"),
  "install.healthy": step("controlPlane", "The Istio resource became healthy"),
  "install.cni": step("controlPlane", "The CNI plugin is healthy"),
  "install.gateway-service": step("gateway", "The gateway's Service is in place"),
  "install.gateway-available": step("gateway", "The gateway is available"),
  "install.gateway-address": step("gateway", "The gateway got an address"),
  "install.exposure": step("gateway", "Services are exposed"),
  "install.before-upgrade": step("trust", "The mesh is as it was before the cluster is upgraded"),
  "install.proxies": step("controlPlane", "Running proxies take what the new istiod sends"),
  "install.upgrade": step("gateway", "The cluster is upgraded as a whole"),
  "install.reader": step("remoteAccess", "The reader account has its role and token"),
  "install.remote-secret": step("remoteAccess", "The remote secret is in place"),
  "install.synced": step("confirmation", "istiod has read the other cluster"),
  "install.strangers": step("confirmation", "There is no remote secret for a cluster outside the mesh"),

  "rotate.intermediate": rotation("trust", "istiod's intermediate is not about to end"),
  "rotate.token": rotation("remoteAccess", "The reader has a new token"),
  "rotate.remote-secret": rotation("remoteAccess", "The remote secret holds the new token"),
  "rotate.adopted": rotation("confirmation", "Every istiod reads the other cluster by the new token"),
  "rotate.retired": rotation("confirmation", "The old tokens are no longer good"),
  "uninstall.remote-secrets": unlink("The cluster reads no other one any more"),
  "uninstall.exposure": unlink("Services are no longer exposed"),
  "uninstall.access": unlink("The others' access is gone"),
  "uninstall.probes": unlink("No probe is left"),
  "uninstall.gateway": remove("The gateway is gone"),
  "uninstall.control-plane": remove("The control plane is gone"),
  "uninstall.cni": remove("The CNI plugin is gone, or not ours alone"),
  "uninstall.rest": remove("The rest of what is ours is gone"),
  "uninstall.namespace": remove("The namespace is gone, or not ours alone"),

  "cluster.api": cluster("The API server answers"),
  "cluster.distinct": cluster("The kubeconfigs lead to different clusters"),
  "control-plane.istiod": controlPlane("Every replica of istiod is ready"),
  "control-plane.istio": controlPlane("The Istio resource is healthy"),
  "control-plane.cni": controlPlane("The CNI plugin is healthy, where it is needed"),
  "control-plane.identity": controlPlane("Mesh ID, cluster name and network are the mesh's"),
  "control-plane.network": controlPlane("The namespace carries the network's label"),
  "control-plane.versions": controlPlane("The control planes' versions go together"),
  "control-plane.images": controlPlane("The images come from a registry that stays"),
  "control-plane.trust-domain": controlPlane("All clusters have one trust domain"),
  "control-plane.cluster-domain": controlPlane("All clusters have one domain"),
  "trust.cacerts": trust("The intermediate CA chains to its root, has its key, and is valid"),
  "trust.in-effect": trust("The CA in the Secret is the one in effect"),
  "trust.root": trust("The root in effect is valid"),
  "trust.namespaces": trust("Namespaces with proxies hold the root in effect"),
  "trust.same-root": trust("What signs in each cluster is trusted in all others"),
  "gateway.deployment": gateway("The gateway is available and injected"),
  "gateway.address": gateway("The gateway's Service has an address"),
  "gateway.exposure": gateway("Services are exposed through the gateway"),
  "gateway.network": gateway("The gateway carries the network's labels"),
  "gateway.version": gateway("The gateway's proxies are of a version that istiod supports"),
  "remote.secret": remote("There is exactly one remote secret for the other cluster"),
  "remote.kubeconfig": remote("The remote secret's kubeconfig leads to the other cluster"),
  "remote.token": remote("The remote secret's token is accepted"),
  "remote.reader": remote("The reader account may read what istiod needs"),
  "remote.synced": remote("Every istiod reports the other cluster synced"),
  "remote.endpoints": remote("Every istiod holds the other cluster's endpoints and gateways as they are"),
  "remote.strangers": remote("There is no remote secret for a cluster outside the mesh"),
  "workloads.identity": workloads("Running proxies have the names of their istiod"),
  "workloads.root": workloads("Running proxies have the root in effect"),
  "workloads.synced": workloads("Running proxies take the configuration that istiod sends"),
  "workloads.version": workloads("Running proxies are of a version that istiod supports"),
  "workloads.injected": workloads("Pods have a sidecar where injection is asked for"),
  "leftover.objects": leftover("Nothing of ours is left over"),
  "traffic.probe": traffic("A probe runs in the mesh"),
  "pair.request": traffic("Requests are answered through the gateways"),
  "service.reached": service("The Service is known in the cluster, with what every other cluster has of it"),
  "service.answered": service("The Service answers requests from the cluster"),
} as const satisfies Record<string, Entry>;
export type CheckId = keyof typeof CHECKS;
