import { parse } from "yaml";
import type { Cluster } from "../cluster/cluster.ts";
import { fields, items, text } from "../mesh/fields.ts";
import type { LabelSelector } from "../mesh/label-selector.ts";
import type { KubernetesObject } from "../mesh/objects/object.ts";
import { configText, ofRevision } from "./config.ts";

/** A webhook by which an istiod injects pods. */
export interface Injector {
  /** Of the istiod; a tag's webhook has that of the revision which it stands for. */
  readonly revision: string;
  /** Of the istiod; `undefined`: it is called by a URL. */
  readonly namespace: string | undefined;
  /** The roots by which the API server knows it, PEM; istiod writes them. Empty: those of the API server itself. */
  readonly roots: string;
  readonly namespaceSelector: LabelSelector;
  readonly objectSelector: LabelSelector;
}

interface Configuration extends KubernetesObject {
  webhooks?: {
    name: string;
    clientConfig?: { service?: { namespace?: string }; caBundle?: string };
    namespaceSelector?: LabelSelector;
    objectSelector?: LabelSelector;
  }[];
}

/** All that inject in a cluster, those of other meshes, too. Takes `list mutatingwebhookconfigurations`. */
export async function readInjectors(cluster: Cluster): Promise<Injector[]> {
  const found = await cluster.list<Configuration>({
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "MutatingWebhookConfiguration",
  });
  return found.flatMap(({ metadata, webhooks = [] }) =>
    webhooks
      .filter(({ name }) => name.includes("sidecar-injector"))
      .map(({ clientConfig, namespaceSelector = {}, objectSelector = {} }) => ({
        revision: metadata.labels?.["istio.io/rev"] ?? "default",
        namespace: clientConfig?.service?.namespace,
        roots: Buffer.from(clientConfig?.caBundle ?? "", "base64").toString("utf8"),
        namespaceSelector,
        objectSelector,
      })),
  );
}

/** What an istiod makes of a pod that it is asked about, and that says nothing itself (pkg/kube/inject, injectRequired). */
export interface InjectionPolicy {
  readonly enabled: boolean;
  readonly never: readonly LabelSelector[];
  readonly always: readonly LabelSelector[];
}

/** Takes `get configmaps` in the namespace. Istio's defaults where nothing is said. */
export async function readInjectionPolicy(
  cluster: Cluster,
  namespace: string,
  revision: string,
): Promise<InjectionPolicy> {
  const name = ofRevision("istio-sidecar-injector", revision);
  const config = fields(parsed(await configText(cluster, namespace, name, "config")));
  const selectors = (value: unknown) => items(value).map((each) => fields(each) as LabelSelector);
  return {
    enabled: (text(config.policy) ?? "enabled") === "enabled",
    never: selectors(config.neverInjectSelector),
    always: selectors(config.alwaysInjectSelector),
  };
}

function parsed(yaml: string | undefined): unknown {
  try {
    return parse(yaml ?? "");
  } catch {
    return undefined;
  }
}
