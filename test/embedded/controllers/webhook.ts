import type { Json } from "../kube.ts";

const INJECT = "sidecar.istio.io/inject";
const REV = "istio.io/rev";
const INJECTION = "istio-injection";

const isIn = (key: string, ...values: string[]) => ({ key, operator: "In", values });
const notIn = (key: string, ...values: string[]) => ({ key, operator: "NotIn", values });
const absent = (key: string) => ({ key, operator: "DoesNotExist" });

/** The injection webhooks of the istiod chart: which pods, in which namespaces, each revision is asked about. */
export function injectionWebhooks(revision: string, namespace: string, service: string, labels: Json): Json {
  const webhook = (name: string, namespaces: Json[], objects: Json[]) => ({
    name: `${name}.sidecar-injector.istio.io`,
    clientConfig: { service: { name: service, namespace, path: "/inject", port: 443 } },
    sideEffects: "None",
    rules: [{ operations: ["CREATE"], apiGroups: [""], apiVersions: ["v1"], resources: ["pods"], scope: "*" }],
    failurePolicy: "Fail",
    matchPolicy: "Equivalent",
    reinvocationPolicy: "Never",
    timeoutSeconds: 10,
    admissionReviewVersions: ["v1"],
    namespaceSelector: { matchExpressions: namespaces },
    objectSelector: { matchExpressions: objects },
  });
  const suffix = revision === "default" ? "" : `-${revision}`;
  const where = namespace === "istio-system" ? "" : `-${namespace}`;
  return {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "MutatingWebhookConfiguration",
    metadata: { name: `istio-sidecar-injector${suffix}${where}`, labels },
    webhooks: [
      webhook("rev.namespace", [isIn(REV, revision), absent(INJECTION)], [notIn(INJECT, "false")]),
      webhook("rev.object", [absent(REV), absent(INJECTION)], [notIn(INJECT, "false"), isIn(REV, revision)]),
      ...(revision === "default"
        ? [
            webhook("namespace", [isIn(INJECTION, "enabled")], [notIn(INJECT, "false")]),
            webhook("object", [absent(INJECTION), absent(REV)], [isIn(INJECT, "true"), absent(REV)]),
          ]
        : []),
    ],
  };
}

/** Whether a label selector, as objects have them, matches. */
export function selects(selector: Json, labels: Readonly<Record<string, string>> = {}): boolean {
  const { matchLabels = {}, matchExpressions = [] } = selector ?? {};
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator, values = [] }: Json) => {
      const value = labels[key];
      if (operator === "Exists") return value !== undefined;
      if (operator === "DoesNotExist") return value === undefined;
      return (value !== undefined && values.includes(value)) === (operator === "In");
    })
  );
}
