import * as v from "valibot";
import { NODE_SELECTOR, OWN_POD_ANNOTATIONS, OWN_POD_LABELS, OWN_SERVICE_LABELS } from "../mesh/objects/gateway.ts";
import { READER } from "../mesh/objects/reader.ts";
import type { CniSpec, GatewaySpec, Installer, Values } from "../mesh/spec.ts";
import { type ReportProblem, shown } from "./messages.ts";
import type { InputSource } from "./source.ts";
import { keys, mapping, readYaml, texts } from "./yaml.ts";

export const NO_EFFECT =
  "has no effect with `installer: existing`, which leaves the control planes alone; leave it out";

/** RFC 1123. */
export const DNS_LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

const gatewaySchema = keys({
  install: v.optional(v.boolean(), true),
  service: v.optional(
    keys({
      type: v.optional(v.picklist(["LoadBalancer", "NodePort"]), "LoadBalancer"),
      annotations: v.optional(texts, {}),
      labels: v.optional(texts),
      loadBalancerClass: v.optional(v.string()),
    }),
    {},
  ),
  replicas: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(100)), 1),
  resources: v.optional(mapping),
  nodeSelector: v.optional(texts),
  tolerations: v.optional(v.array(mapping)),
  affinity: v.optional(mapping),
  topologySpreadConstraints: v.optional(v.array(mapping)),
  podLabels: v.optional(texts),
  podAnnotations: v.optional(texts),
  securityContext: v.optional(mapping),
});

const cniSchema = keys({ namespace: v.optional(v.string()), values: v.optional(mapping) });

/** Where images come from: a registry with or without a path, as image names begin. */
const HUB = /^[A-Za-z0-9][A-Za-z0-9.-]*(:\d+)?(\/[A-Za-z0-9][\w.-]*)*$/;

/** The input `image-hub`: `auto`, or what stands before an image's name. */
export function readImageHub(source: InputSource, installer: Installer, report: ReportProblem): string {
  const given = source.get("image-hub");
  const hub = given.replace(/\/+$/, "") || "auto";
  if (!HUB.test(hub)) {
    report("image-hub", `is ${shown(given)}; expected \`auto\` or a registry and a path, such as docker.io/istio`);
  } else if (hub !== "auto" && installer === "existing") report("image-hub", NO_EFFECT);
  return hub;
}

/** Values that take away what remote secrets are made of: refused, with the way to have what is meant by them. */
export function reportReaderValues(values: Values, readerRole: string, report: ReportProblem): void {
  const { readerServiceAccount, enableReaderRBAC } = (values.global ?? {}) as Values;
  if (readerServiceAccount !== undefined && readerServiceAccount !== READER) {
    report(
      "values",
      `set global.readerServiceAccount, so that the chart makes no ${READER}, whose token the other clusters read by; leave it out, and name the account's role by \`reader-role\``,
    );
  }
  if (enableReaderRBAC === false && readerRole === "auto") {
    report(
      "values",
      "say global.enableReaderRBAC: false, so that the chart gives the reader no role; leave it out, or name the ClusterRole that it is to have by `reader-role`",
    );
  }
}

/** The input `cni`; `undefined` where it says nothing. */
export function readCni(source: InputSource, installer: Installer, report: ReportProblem): CniSpec | undefined {
  const cni = readYaml("cni", source.get("cni"), cniSchema, report, {}) ?? {};
  if (Object.keys(cni).length === 0) return undefined;
  if (installer !== "sail") {
    report("cni", `has no effect with \`installer: ${installer}\`, which leaves the CNI plugin alone; leave it out`);
  }
  if (cni.namespace !== undefined && !DNS_LABEL.test(cni.namespace)) {
    report(
      "cni.namespace",
      `is ${shown(cni.namespace)}; expected a DNS label: lower-case letters, digits and \`-\`, at most 63`,
    );
  }
  return cni as CniSpec;
}

/** The input `gateway`, with what it leaves out. */
export function readGateway(source: InputSource, report: ReportProblem): GatewaySpec {
  const usual = v.parse(gatewaySchema, {});
  const gateway = readYaml("gateway", source.get("gateway"), gatewaySchema, report, usual) ?? usual;
  if (gateway.service.type === "NodePort" && !gateway.service.annotations[NODE_SELECTOR]) {
    report(
      "gateway",
      `has service type NodePort without the annotation ${NODE_SELECTOR}, by which istiod finds the nodes' addresses; add it to \`service.annotations\``,
    );
  }

  const { podLabels, podAnnotations, service } = gateway;
  const own = [
    ["podLabels", podLabels, OWN_POD_LABELS],
    ["podAnnotations", podAnnotations, OWN_POD_ANNOTATIONS],
    ["service.labels", service.labels, OWN_SERVICE_LABELS],
  ] as const;
  for (const [key, given, taken] of own) {
    const set = taken.filter((name) => given?.[name] !== undefined);
    if (set.length > 0) report(`gateway.${key}`, `sets ${set.join(", ")}, which this action sets itself; leave it out`);
  }
  return gateway as GatewaySpec;
}
