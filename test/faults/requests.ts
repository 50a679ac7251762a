import type { LoggedRequest } from "../embedded/kube.ts";

type Sent = Pick<LoggedRequest, "method" | "path">;

/**
 * Which request it is, however often and to whichever cluster it is sent: the method, the resource, and what is asked of it
 * (the query says whether it is a watch, a dry run, or which objects are wanted), without what differs from run to run.
 */
export function classOf({ method, path }: Sent): string {
  const [place = "", query = ""] = path.split("?");
  const parameters = new URLSearchParams(query);
  for (const name of ["resourceVersion", "sinceTime"]) parameters.delete(name);
  const named = place
    .replace(/istio-mesh-probe-[0-9a-f]{8}/g, "istio-mesh-probe-…")
    .replace(/\/proxy\/[0-9a-f]{32}\//, "/proxy/…/")
    .replace(/\/pods\/istiod-[^/:]+/, "/pods/istiod-…")
    .replace(/(istio-remote-secret-token)-\d+$/, "$1-…")
    .replace(/cluster[12]\b/g, "cluster…");
  // What is in a namespace is asked kind by kind, of whatever is served: the purpose is one.
  if (method === "GET" && /^\/apis(\/[^/]+\/[^/]+)?$|^\/api\/v1$/.test(place)) return "GET what is served";
  if (method === "GET" && query === "" && /\/namespaces\/[^/]+\/[^/]+$/.test(place))
    return "GET all of a kind in a namespace";
  const asked = [...parameters].map(([name, value]) => `${name}=${value.replace(/(cluster|network)[12]\b/g, "$1…")}`);
  return `${method} ${named}${asked.length > 0 ? `?${asked.join("&").replace(/istio-mesh-probe-[0-9a-f]{8}/g, "istio-mesh-probe-…")}` : ""}`;
}

/** Whether the run sends it, and not an istiod that reads another cluster. */
export const isOurs = ({ user }: LoggedRequest): boolean => user === "kubernetes-admin";

export const isWatch = ({ path }: Sent): boolean => /[?&]watch=true(&|$)/.test(path);

/** Of the Lease that a run holds. */
export const isLease = ({ path }: Sent): boolean => path.includes("/namespaces/default/leases/istio-mesh-action");

/** A list, or a watch: what is asked of a whole collection. */
export function isOfCollection({ method, path }: Sent): boolean {
  const [, rest = ""] = /^\/(?:api\/v1|apis\/[^/]+\/[^/]+)\/([^?]+)/.exec(path) ?? [];
  const parts = rest.split("/");
  const collection = parts[0] === "namespaces" && parts.length > 2 ? parts.slice(2) : parts;
  return method === "GET" && rest !== "" && collection.length === 1;
}

/** What an API server can refuse for another write that came before: not so what is only asked. */
export const isStored = ({ method, path }: Sent): boolean =>
  method !== "GET" && !/reviews|dryRun=All|\/token$/.test(path);
