import type { Json } from "./kube.ts";

/** A kind that the API serves, in one version. */
export interface Resource {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  /** Whether `status` is written through a subresource of its own only. */
  readonly status: boolean;
  /** Whether metadata.generation counts the changes of what is wanted. */
  readonly generation: boolean;
  /** The OpenAPI schema of a custom resource. */
  readonly schema?: Json;
}

type Traits = { cluster?: true; status?: true; generation?: true; short?: string; categories?: string };

function builtIn(apiVersion: string, kind: string, traits: Traits = {}): Resource {
  const [group, version] = splitApiVersion(apiVersion);
  const singular = kind.toLowerCase();
  return {
    group,
    version,
    kind,
    plural: singular.endsWith("s")
      ? `${singular}es`
      : singular.endsWith("y")
        ? `${singular.slice(0, -1)}ies`
        : `${singular}s`,
    singular,
    shortNames: traits.short ? traits.short.split(",") : [],
    categories: traits.categories ? traits.categories.split(",") : [],
    namespaced: !traits.cluster,
    status: traits.status === true,
    generation: traits.generation === true,
  };
}

const CLUSTER = { cluster: true } as const;
const RBAC = "rbac.authorization.k8s.io/v1";
const WEBHOOKS = "admissionregistration.k8s.io/v1";

// Which kinds count a generation is what real API servers do; most of the old ones do not.
const BUILT_IN: readonly Resource[] = [
  builtIn("v1", "Namespace", { ...CLUSTER, status: true, short: "ns" }),
  builtIn("v1", "Secret"),
  builtIn("v1", "ConfigMap", { short: "cm" }),
  builtIn("v1", "ServiceAccount", { short: "sa" }),
  builtIn("v1", "Service", { status: true, short: "svc", categories: "all" }),
  builtIn("v1", "Pod", { status: true, short: "po", categories: "all", generation: true }),
  builtIn("v1", "Node", { ...CLUSTER, status: true, short: "no" }),
  builtIn("v1", "Event", { short: "ev" }),
  builtIn("apps/v1", "Deployment", { status: true, generation: true, short: "deploy", categories: "all" }),
  builtIn("apps/v1", "ReplicaSet", { status: true, generation: true, short: "rs", categories: "all" }),
  builtIn("policy/v1", "PodDisruptionBudget", { status: true, generation: true, short: "pdb" }),
  builtIn("autoscaling/v2", "HorizontalPodAutoscaler", { status: true, short: "hpa", categories: "all" }),
  builtIn(RBAC, "Role"),
  builtIn(RBAC, "RoleBinding"),
  builtIn(RBAC, "ClusterRole", CLUSTER),
  builtIn(RBAC, "ClusterRoleBinding", CLUSTER),
  builtIn("discovery.k8s.io/v1", "EndpointSlice", { generation: true }),
  builtIn("apiextensions.k8s.io/v1", "CustomResourceDefinition", {
    ...CLUSTER,
    status: true,
    generation: true,
    short: "crd,crds",
  }),
  builtIn(WEBHOOKS, "MutatingWebhookConfiguration", { ...CLUSTER, generation: true }),
  builtIn(WEBHOOKS, "ValidatingWebhookConfiguration", { ...CLUSTER, generation: true }),
  builtIn("coordination.k8s.io/v1", "Lease"),
];

/** The virtual kinds: answers to what is posted, never stored. */
export const REVIEWS: readonly Resource[] = [
  builtIn("authentication.k8s.io/v1", "TokenReview", CLUSTER),
  builtIn("authentication.k8s.io/v1", "SelfSubjectReview", CLUSTER),
  builtIn("authorization.k8s.io/v1", "SelfSubjectAccessReview", CLUSTER),
  builtIn("authorization.k8s.io/v1", "SubjectAccessReview", CLUSTER),
  builtIn("authorization.k8s.io/v1", "SelfSubjectRulesReview", CLUSTER),
];

export function splitApiVersion(apiVersion: string): [group: string, version: string] {
  const slash = apiVersion.indexOf("/");
  return slash < 0 ? ["", apiVersion] : [apiVersion.slice(0, slash), apiVersion.slice(slash + 1)];
}

export function apiVersionOf({ group, version }: { group: string; version: string }): string {
  return group ? `${group}/${version}` : version;
}

/** Under this an object is stored, whichever version it is read in. */
export function storageKey({ group, plural }: { group: string; plural: string }): string {
  return `${group}/${plural}`;
}

/** What one API server serves: the built-in kinds, and those of the definitions that it has. */
export class Resources {
  #all: readonly Resource[] = BUILT_IN;
  readonly #custom = new Map<string, readonly Resource[]>();

  get all(): readonly Resource[] {
    return this.#all;
  }

  byPlural(group: string, version: string, plural: string): Resource | undefined {
    return this.#all.find((r) => r.plural === plural && r.group === group && r.version === version);
  }

  byKind(apiVersion: string, kind: string): Resource | undefined {
    const [group, version] = splitApiVersion(apiVersion);
    return this.#all.find((r) => r.kind === kind && r.group === group && r.version === version);
  }

  /** Serves what a CustomResourceDefinition defines; `undefined` stops to. */
  define(name: string, definition: Json | undefined): void {
    if (definition) this.#custom.set(name, customResources(definition));
    else this.#custom.delete(name);
    this.#all = [...BUILT_IN, ...[...this.#custom.values()].flat()];
  }
}

function customResources({ spec }: Json): Resource[] {
  return (spec.versions as Json[])
    .filter((version) => version.served)
    .map((version) => ({
      group: spec.group,
      version: version.name,
      kind: spec.names.kind,
      plural: spec.names.plural,
      singular: spec.names.singular ?? spec.names.kind.toLowerCase(),
      shortNames: spec.names.shortNames ?? [],
      categories: spec.names.categories ?? [],
      namespaced: spec.scope === "Namespaced",
      status: version.subresources?.status !== undefined,
      generation: true,
      schema: version.schema?.openAPIV3Schema,
    }));
}
