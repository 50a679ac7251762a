import type { Kube } from "../kube.ts";
import { after, on, refOf } from "./support.ts";

export interface LoadBalancerOptions {
  /** What a Service's status gets; `never`: there is no such controller. */
  readonly ingress: { readonly ip: string } | { readonly hostname: string } | "never";
  readonly delayMs?: number;
}

/** Gives addresses to Services of type LoadBalancer. */
export function loadBalancer(kube: Kube, { ingress, delayMs }: LoadBalancerOptions): void {
  if (ingress === "never") return;
  on(kube, "v1", "Service", ({ type, object }) => {
    if (type === "DELETED" || object.spec?.type !== "LoadBalancer" || object.status?.loadBalancer?.ingress) return;
    after(delayMs, () => {
      const now = kube.get(refOf(object));
      if (now?.metadata.uid !== object.metadata.uid || now.status?.loadBalancer?.ingress) return;
      kube.patchStatus(refOf(object), { loadBalancer: { ingress: [{ ...ingress }] } });
    });
  });
}
