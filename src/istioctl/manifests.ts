import { parse } from "yaml";
import { message, runProgram } from "../cluster/child.ts";
import { isKnownKind } from "../cluster/resources.ts";
import { Failure } from "../mesh/failure.ts";
import type { KubernetesObject } from "../mesh/objects/object.ts";

export interface ManifestsRequest {
  /** Path of the binary. */
  readonly istioctl: string;
  /** Path of the IstioOperator that says what is wanted. */
  readonly file: string;
  /** For messages. */
  readonly cluster: string;
  readonly signal?: AbortSignal;
  /** Environment of the child as a whole. */
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Has istioctl make the manifests of a control plane: what `istioctl install` applies, made without asking a cluster and
 * without its credentials. Throws a `Failure` with istioctl's own message where it refuses the values.
 */
export async function generateManifests(request: ManifestsRequest): Promise<KubernetesObject[]> {
  const { istioctl, file, cluster, signal, env } = request;
  const { code, stdout, stderr } = await runProgram(istioctl, ["manifest", "generate", `--filename=${file}`], {
    env,
    ...(signal ? { signal } : {}),
    what: `the manifests of ${cluster}`,
    late: "It asks nobody and should take seconds: is the runner overloaded? `timeout` sets another deadline.",
    broken: "Is it an istioctl for this machine's platform, and executable? `istioctl-path` sets another.",
  });
  if (code !== 0) {
    // The file's name is ours and says nothing to anybody.
    const told = message(stderr || stdout).replaceAll(file, "the values");
    throw new Failure(
      `istioctl could not make the control plane of ${cluster}: ${told || `exit code ${code}`}`,
      "Correct `values`: they are the Helm values of istiod, of the version that `istio-version` names.",
    );
  }
  return parseManifests(stdout, cluster);
}

// Istio's CRDs are a megabyte of YAML that is the same for every cluster: each document is parsed once.
const parsed = new Map<string, KubernetesObject | undefined>();

/** The objects in istioctl's output. Throws a `Failure` where there is none, or one that the action cannot apply. */
export function parseManifests(output: string, cluster: string): KubernetesObject[] {
  const wrong = (what: string) =>
    new Failure(
      `istioctl made no usable control plane of ${cluster}: ${what}.`,
      "Is it an istioctl of the mesh's own version? `istioctl-path` or `istio-version` sets another.",
    );
  const objects = output.split(/^---$/m).flatMap((text) => {
    if (!parsed.has(text)) parsed.set(text, parsedOne(text, wrong));
    return structuredClone(parsed.get(text)) ?? [];
  });
  if (!objects.some(({ kind }) => kind === "Deployment")) throw wrong("its output holds no Deployment");
  const unknown = objects.find((object) => !isKnownKind(object));
  if (unknown) throw wrong(`it holds a ${unknown.apiVersion} ${unknown.kind}, which this action does not know`);
  return objects;
}

function parsedOne(text: string, wrong: (what: string) => Failure): KubernetesObject | undefined {
  let value: unknown;
  try {
    value = parse(text);
  } catch {
    throw wrong("its output is not YAML");
  }
  if (value === null) return undefined;
  const { apiVersion, kind, metadata } = value as Partial<KubernetesObject>;
  if (typeof apiVersion !== "string" || typeof kind !== "string" || typeof metadata?.name !== "string")
    throw wrong("its output holds something that is no object");
  return value as KubernetesObject;
}
