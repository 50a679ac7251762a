import * as v from "valibot";
import type { ProbeOptions } from "../mesh/spec.ts";
import { type ReportProblem, shown } from "./messages.ts";
import type { InputSource } from "./source.ts";
import { keys, readYaml, texts } from "./yaml.ts";

const schema = keys({ labels: v.optional(texts), annotations: v.optional(texts) });

/** As Kubernetes takes the key of a label or an annotation, and a label's value. */
const KEY = /^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const VALUE = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;

/** The input `probe`: what the clusters' own policies ask of the probe's namespace and pod; `undefined`: nothing. */
export function readProbe(source: InputSource, report: ReportProblem): ProbeOptions | undefined {
  const { labels = {}, annotations = {} } = readYaml("probe", source.get("probe"), schema, report, {}) ?? {};
  for (const [key, value] of Object.entries(labels)) {
    if (!VALUE.test(value)) report(`probe.labels.${key}`, `is ${shown(value)}; expected a label's value`);
  }
  for (const [place, entries] of Object.entries({ labels, annotations })) {
    for (const key of Object.keys(entries)) {
      if (!KEY.test(key)) report(`probe.${place}`, `has the key ${shown(key)}; expected one that Kubernetes takes`);
    }
  }
  return Object.keys({ ...labels, ...annotations }).length > 0 ? { labels, annotations } : undefined;
}
