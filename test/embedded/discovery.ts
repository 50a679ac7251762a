import type { Json } from "./kube.ts";
import { apiVersionOf, REVIEWS, type Resource, type Resources } from "./resources.ts";

const VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/** What the API tells of itself at paths that are no resource's, or `undefined`. */
export function discovery(path: string, resources: Resources): Json | undefined {
  const trimmed = path.replace(/\/$/, "");
  if (trimmed === "/api") return { kind: "APIVersions", versions: ["v1"] };
  const all = [...resources.all, ...REVIEWS];
  if (trimmed === "/apis") return { kind: "APIGroupList", apiVersion: "v1", groups: groups(all) };
  const group = /^\/apis\/([^/]+)$/.exec(trimmed)?.[1];
  if (group) {
    const found = groups(all).find(({ name }) => name === group);
    return found && { kind: "APIGroup", apiVersion: "v1", ...found };
  }
  const groupVersion = /^\/apis\/([^/]+\/[^/]+)$/.exec(trimmed)?.[1] ?? (trimmed === "/api/v1" ? "v1" : undefined);
  const served = all.filter((resource) => apiVersionOf(resource) === groupVersion);
  if (served.length === 0) return undefined;
  return { kind: "APIResourceList", apiVersion: "v1", groupVersion, resources: served.flatMap(entries) };
}

function groups(all: readonly Resource[]): Json[] {
  const names = [...new Set(all.map(({ group }) => group))].filter((group) => group !== "");
  return names.map((name) => {
    const versions = [...new Set(all.filter(({ group }) => group === name).map(({ version }) => version))].map(
      (version) => ({
        groupVersion: `${name}/${version}`,
        version,
      }),
    );
    return { name, versions, preferredVersion: versions[0] };
  });
}

function entries(resource: Resource): Json[] {
  const { plural, singular, namespaced, kind, shortNames, categories, status } = resource;
  const base = { singularName: singular, namespaced, kind };
  const only = (name: string, verbs: string[], more: Json = {}) => ({
    ...base,
    name,
    singularName: "",
    verbs,
    ...more,
  });
  return [
    {
      ...base,
      name: plural,
      verbs: REVIEWS.includes(resource) ? ["create"] : VERBS,
      ...(shortNames.length ? { shortNames } : {}),
      ...(categories.length ? { categories } : {}),
    },
    ...(status ? [only(`${plural}/status`, ["get", "patch", "update"])] : []),
    ...(kind === "Pod" ? [only("pods/exec", ["create", "get"], { kind: "PodExecOptions" })] : []),
    ...(kind === "ServiceAccount"
      ? [
          only("serviceaccounts/token", ["create"], {
            group: "authentication.k8s.io",
            version: "v1",
            kind: "TokenRequest",
          }),
        ]
      : []),
  ];
}
