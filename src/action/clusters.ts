import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import * as v from "valibot";
import { machineKubeconfig } from "../cluster/kubeconfig-files.ts";
import type { Values } from "../mesh/spec.ts";
import { FORK, named, type ReportProblem } from "./messages.ts";
import type { InputSource } from "./source.ts";
import { checked, keys, mapping, readYaml } from "./yaml.ts";

const clusterSchema = keys({
  name: v.string(),
  network: v.string(),
  kubeconfig: v.optional(v.string()),
  "kubeconfig-env": v.optional(v.string()),
  "kubeconfig-file": v.optional(v.string()),
  context: v.optional(v.string()),
  "api-server": v.optional(v.string()),
  "tls-server-name": v.optional(v.string()),
  values: v.optional(mapping),
});

/** A kubeconfig as it was given. It is a secret. */
interface Given {
  readonly content: string;
  /** Where relative paths in it begin. */
  readonly folder?: string;
  /** Where it was looked for, where it is not the cluster's own. */
  readonly from?: string;
}

/** One entry of `clusters`, or its equal from `cluster1-*`; `label` is how messages name an input of it. */
export interface Entry {
  readonly label: (key: string) => string;
  readonly name: string;
  readonly network: string;
  /** Absent where there is none, which is reported already. */
  readonly kubeconfig: Given | undefined;
  readonly context: string;
  readonly apiServer: string;
  readonly tlsServerName: string;
  readonly values: Values;
}

/**
 * The clusters as they are given, by `clusters` or by `cluster1-*` and `cluster2-*`, each with its kubeconfig.
 * @param least how many there must be
 */
export function readClusters(source: InputSource, least: 1 | 2, report: ReportProblem): Entry[] {
  const shared = new Shared(source, report);
  const entries = source.get("clusters") ? listed(source, least, shared, report) : numbered(source, shared, report);
  if (shared.given && !shared.used && entries.length > 0) {
    report("kubeconfig", "is of no use: every cluster has a kubeconfig of its own; leave out one or the other");
  }
  return entries;
}

/** One kubeconfig for all clusters that have none of their own: the input `kubeconfig`, else what kubectl would use here. */
class Shared {
  readonly #source: InputSource;
  readonly #report: ReportProblem;
  readonly #content: string;
  #found: ReturnType<typeof machineKubeconfig>;
  #looked = false;
  used = false;

  constructor(source: InputSource, report: ReportProblem) {
    this.#source = source;
    this.#report = report;
    this.#content = source.get("kubeconfig");
  }

  /** Whether it is an input. */
  get given(): boolean {
    return this.#content !== "";
  }

  /** @param input names the context, for messages */
  for(input: string, context: string): Given | undefined {
    this.used = true;
    if (!context) this.#report(input, "is empty; expected the context of this cluster in `kubeconfig`");
    else if (this.given) return { content: this.#content, from: "`kubeconfig`" };
    else return this.#onMachine(input, context);
    return undefined;
  }

  #onMachine(input: string, context: string): Given | undefined {
    if (!this.#looked) this.#found = machineKubeconfig(this.#source.machine);
    this.#looked = true;
    if (this.#found && "content" in this.#found) return this.#found;
    const why = this.#found
      ? this.#found.problem
      : `there is no kubeconfig to look in: the cluster has none of its own, \`kubeconfig\` is empty, and this runner has neither a file of KUBECONFIG nor ~/.kube/config. ${FORK}`;
    this.#report(input, `is ${named(context)}, but ${why}`);
    return undefined;
  }
}

/** What is wrong with a shared kubeconfig is told of the context that is looked for in it. */
function inShared(label: Entry["label"]): Entry["label"] {
  return (key) => label(key === "kubeconfig" ? "context" : key);
}

/** The clusters of the inputs `cluster1-*` and `cluster2-*`. */
function numbered(source: InputSource, shared: Shared, report: ReportProblem): Entry[] {
  return ["cluster1", "cluster2"].map((prefix) => {
    const label = (key: string) => `${prefix}-${key}`;
    const content = source.get(label("kubeconfig"));
    const context = source.get(label("context"));
    const own = content !== "" || (context === "" && !shared.given);
    if (!content && own) {
      const others = `or in \`${label("context")}\` a context that \`kubeconfig\` or this runner's KUBECONFIG has`;
      report(label("kubeconfig"), `is empty; expected the content of a kubeconfig, ${others}. ${FORK}`);
    }
    return {
      label: own ? label : inShared(label),
      name: source.get(label("name")),
      network: source.get(label("network")),
      kubeconfig: !own ? shared.for(label("context"), context) : content ? { content } : undefined,
      context,
      apiServer: source.get(label("api-server")),
      tlsServerName: "",
      values: {},
    };
  });
}

/** The clusters of the input `clusters`. */
function listed(source: InputSource, least: 1 | 2, shared: Shared, report: ReportProblem): Entry[] {
  for (const other of ["cluster1-kubeconfig", "cluster2-kubeconfig"]) {
    if (source.get(other)) report(other, "is set beside `clusters`; use one or the other");
  }
  const list = readYaml("clusters", source.get("clusters"), v.array(v.unknown()), report);
  if (list && list.length < least) {
    const expected = least === 1 ? "at least one cluster" : "at least two clusters";
    report("clusters", `has ${list.length === 0 ? "no entry" : "one entry"}; expected ${expected}`);
  }
  // One entry that is wrong does not keep the others from being looked at.
  return (list ?? []).flatMap((item, index): Entry | [] => {
    const each = checked(`clusters[${index}]`, item, clusterSchema, report);
    if (!each) return [];
    const label = (key: string) => `clusters[${index}].${key}`;
    const own = given(each).length > 0 || (!each.context && !shared.given);
    return {
      label: own
        ? (key) => (key === "kubeconfig" ? label(given(each)[0] ?? "kubeconfig") : label(key))
        : inShared(label),
      name: each.name,
      network: each.network,
      kubeconfig: own
        ? kubeconfigOf(each, `clusters[${index}]`, source, report)
        : shared.for(label("context"), each.context ?? ""),
      context: each.context ?? "",
      apiServer: each["api-server"] ?? "",
      tlsServerName: each["tls-server-name"] ?? "",
      values: each.values ?? {},
    };
  });
}

type Listed = v.InferOutput<typeof clusterSchema>;
const KUBECONFIG_KEYS = ["kubeconfig", "kubeconfig-env", "kubeconfig-file"] as const;

function given(each: Listed): (typeof KUBECONFIG_KEYS)[number][] {
  return KUBECONFIG_KEYS.filter((key) => each[key] !== undefined);
}

function kubeconfigOf(each: Listed, place: string, source: InputSource, report: ReportProblem): Given | undefined {
  const label = (key: string) => `${place}.${key}`;
  const [key, ...more] = given(each);
  if (!key || more.length > 0) {
    const found = key ? `has ${[key, ...more].map((each) => `\`${each}\``).join(" and ")}` : "has no kubeconfig";
    const alone = key ? "" : ", or a `context` that the input `kubeconfig` or this runner's KUBECONFIG has";
    report(
      place,
      `${found}; expected exactly one of ${KUBECONFIG_KEYS.map((each) => `\`${each}\``).join(", ")}${alone}`,
    );
    return undefined;
  }
  const value = each[key] ?? "";
  let content: string | undefined = value;
  if (key === "kubeconfig-env") content = source.env(value);
  if (key === "kubeconfig-file") {
    try {
      content = readFileSync(value, "utf8");
    } catch (error) {
      report(
        label(key),
        `names the file ${named(value)}, which cannot be read (${(error as NodeJS.ErrnoException).code}); expected the path of a kubeconfig`,
      );
      return undefined;
    }
  }
  if (!content?.trim()) {
    const what =
      key === "kubeconfig"
        ? "is empty"
        : key === "kubeconfig-env"
          ? `names the variable ${named(value)}, which is empty or not set`
          : `names the file ${named(value)}, which is empty`;
    report(label(key), `${what}; expected the content of a kubeconfig. ${FORK}`);
    return undefined;
  }
  return key === "kubeconfig-file" ? { content, folder: dirname(resolve(value)) } : { content };
}
