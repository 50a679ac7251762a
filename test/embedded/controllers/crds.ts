import type { Json } from "../kube.ts";

const ANY = { type: "object", "x-kubernetes-preserve-unknown-fields": true };

interface Names {
  readonly group: string;
  readonly kind: string;
  readonly plural: string;
  readonly shortNames?: readonly string[];
  readonly category: string;
}

function definition(
  { group, kind, plural, shortNames, category }: Names,
  scope: string,
  versions: readonly Json[],
): Json {
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope,
      names: {
        kind,
        listKind: `${kind}List`,
        plural,
        singular: kind.toLowerCase(),
        categories: [category],
        ...(shortNames ? { shortNames } : {}),
      },
      versions,
    },
  };
}

function sail(kind: string, plural: string, spec: Json, shortNames?: readonly string[]): Json {
  const columns = [
    { name: "Status", type: "string", jsonPath: ".status.state" },
    { name: "Version", type: "string", jsonPath: ".spec.version" },
  ];
  const version = {
    name: "v1",
    served: true,
    storage: true,
    subresources: { status: {} },
    additionalPrinterColumns: columns,
    schema: { openAPIV3Schema: { type: "object", properties: { spec, status: ANY } } },
  };
  const names = { group: "sailoperator.io", kind, plural, category: "istio-io", ...(shortNames ? { shortNames } : {}) };
  return definition(names, "Cluster", [version]);
}

function istioSchema(versions: readonly string[]): Json {
  return {
    type: "object",
    required: ["version", "namespace"],
    properties: {
      version: { type: "string", enum: versions.map((version) => `v${version}`) },
      namespace: {
        type: "string",
        "x-kubernetes-validations": [{ rule: "self == oldSelf", message: "Value is immutable" }],
      },
      profile: { type: "string" },
      values: {
        ...ANY,
        properties: {
          pilot: { ...ANY, properties: { env: { type: "object", additionalProperties: { type: "string" } } } },
        },
      },
      updateStrategy: {
        type: "object",
        properties: {
          type: { type: "string", enum: ["InPlace", "RevisionBased"] },
          inactiveRevisionDeletionGracePeriodSeconds: { type: "integer" },
          updateWorkloads: { type: "boolean" },
        },
      },
    },
  };
}

function istioApi(group: string, kind: string, plural: string): Json {
  const names = ["v1", "v1beta1", "v1alpha3"];
  return definition(
    { group, kind, plural, category: "istio-io" },
    "Namespaced",
    names.map((name) => ({
      name,
      served: true,
      storage: name === "v1",
      subresources: { status: {} },
      schema: { openAPIV3Schema: { type: "object", properties: { spec: ANY, status: ANY } } },
    })),
  );
}

/** What the Sail Operator's chart installs: its own kinds and Istio's. */
export function definitions(versions: readonly string[]): Json[] {
  return [
    sail("Istio", "istios", istioSchema(versions)),
    sail("IstioRevision", "istiorevisions", ANY, ["istiorev"]),
    sail("IstioCNI", "istiocnis", ANY),
    ...istioDefinitions(),
  ];
}

/** Istio's own kinds, as the base chart has them. */
export function istioDefinitions(): Json[] {
  return [
    istioApi("networking.istio.io", "Gateway", "gateways"),
    istioApi("networking.istio.io", "DestinationRule", "destinationrules"),
    istioApi("networking.istio.io", "VirtualService", "virtualservices"),
    istioApi("networking.istio.io", "ServiceEntry", "serviceentries"),
    istioApi("security.istio.io", "PeerAuthentication", "peerauthentications"),
    istioApi("security.istio.io", "AuthorizationPolicy", "authorizationpolicies"),
    istioApi("networking.istio.io", "Sidecar", "sidecars"),
    istioApi("networking.istio.io", "EnvoyFilter", "envoyfilters"),
  ];
}
