import { parse } from "yaml";
import { childEnvironment, message, runProgram } from "../cluster/child.ts";
import { Failure } from "../mesh/failure.ts";
import { type Fields, fields } from "../mesh/fields.ts";
import { parseRemoteKubeconfig, unfit } from "../mesh/remote-kubeconfig.ts";

export interface RemoteSecretRequest {
  /** Path of the binary. */
  readonly istioctl: string;
  /** Path of the target's kubeconfig. */
  readonly kubeconfigFile: string;
  readonly context: string;
  /** Istio's name of the target. */
  readonly cluster: string;
  /** The control planes' namespace, where the service account is, too. */
  readonly namespace: string;
  /** The target's API server, as the observers reach it. */
  readonly server: string;
  readonly serviceAccount: string;
  /** Name of the Secret that holds the account's token. */
  readonly tokenSecret: string;
  /** Known to istioctl from 1.26 on. */
  readonly tlsServerName?: string;
  readonly signal?: AbortSignal;
  /** Environment of the child as a whole; default: `childEnvironment()`. */
  readonly env?: Readonly<Record<string, string>>;
}

/** What an observer needs to read the target. `kubeconfig` and `token` are secret. */
export interface RemoteSecret {
  readonly name: string;
  readonly namespace: string;
  /** The key in the Secret: istiod's name of the target. */
  readonly key: string;
  readonly kubeconfig: string;
  readonly token: string;
  readonly server: string;
}

/** The command line after the program's name. Holds no secret: the credentials are in the kubeconfig's file. */
export function buildArgs(request: RemoteSecretRequest): string[] {
  return [
    "create-remote-secret",
    `--kubeconfig=${request.kubeconfigFile}`,
    `--context=${request.context}`,
    // Without it the namespace is that of the kubeconfig's current-context, whatever --context says.
    `--namespace=${request.namespace}`,
    `--name=${request.cluster}`,
    `--server=${request.server}`,
    `--service-account=${request.serviceAccount}`,
    // The account belongs to the operator's base chart; an account made by istioctl breaks the operator's install.
    "--create-service-account=false",
    // Without it, any Secret will do that says to be the account's.
    `--secret-name=${request.tokenSecret}`,
    ...(request.tlsServerName ? [`--tls-server-name=${request.tlsServerName}`] : []),
  ];
}

/**
 * Has istioctl make the remote secret that points at the target, and checks it: its label, its key, and that istiod will
 * take its kubeconfig. Nothing is written to a cluster. Throws a `Failure` with istioctl's own message, tokens removed.
 */
export async function createRemoteSecret(request: RemoteSecretRequest): Promise<RemoteSecret> {
  const { istioctl, signal, env = childEnvironment() } = request;
  const { code, stdout, stderr } = await runProgram(istioctl, buildArgs(request), {
    env,
    ...(signal ? { signal } : {}),
    what: `the remote secret of ${request.cluster}`,
    late: "Does the cluster answer, and can the kubeconfig's credential plugin log in without a terminal? `timeout` sets another deadline.",
    broken: "Is it an istioctl for this machine's platform, and executable? `istioctl-path` sets another.",
  });
  if (code !== 0)
    throw new Failure(
      `istioctl could not make the remote secret of ${request.cluster}: ${message(stderr) || message(stdout) || `exit code ${code}`}`,
      hintFor(stderr + stdout, request),
    );
  return parseRemoteSecret(stdout, request);
}

/** The Secret in istioctl's output, which may have log lines before and between. Throws a `Failure` that quotes none of it. */
export function parseRemoteSecret(
  stdout: string,
  asked: Pick<RemoteSecretRequest, "cluster" | "namespace" | "server" | "tlsServerName">,
): RemoteSecret {
  const wrong = (what: string) =>
    new Failure(
      `istioctl made no usable remote secret of ${asked.cluster}: ${what}`,
      "Is it an istioctl of the mesh's own version? `istioctl-path` or `istio-version` sets another.",
    );
  const secrets = documents(stdout).filter(({ kind }) => kind === "Secret");
  const [secret] = secrets;
  if (!secret || secrets.length > 1) throw wrong(`its output holds ${secrets.length} Secrets, not one.`);
  const metadata = fields(secret.metadata);
  if (fields(metadata.labels)["istio/multiCluster"] !== "true")
    throw wrong("the Secret lacks the label istio/multiCluster=true, by which istiod finds it.");
  if (typeof metadata.name !== "string") throw wrong("the Secret has no name.");
  // istioctl sets it from the flag; a Secret for another namespace would never be read.
  if (metadata.namespace !== asked.namespace) throw wrong(`the Secret is not for the namespace ${asked.namespace}.`);
  const data = Object.entries({ ...decodedData(secret.data), ...fields(secret.stringData) });
  const [key, kubeconfig] = data[0] ?? [];
  if (data.length !== 1 || key !== asked.cluster || typeof kubeconfig !== "string")
    throw wrong("the Secret's only key must be the cluster's name, for istiod takes it for that.");
  const read = parseRemoteKubeconfig(kubeconfig);
  const { server, ca, token, tlsServerName } = read;
  const problems = unfit(read);
  if (problems.length > 0) throw wrong(problems.join(" "));
  if (!token) throw wrong("its kubeconfig holds no token.");
  if (!ca) throw wrong("its kubeconfig holds no CA certificate.");
  if (server !== asked.server) throw wrong(`its API server is ${server}, not ${asked.server}.`);
  if (tlsServerName !== asked.tlsServerName)
    throw wrong(`its tls-server-name is ${tlsServerName ?? "not set"}, not ${asked.tlsServerName ?? "unset"}.`);
  return { name: metadata.name, namespace: asked.namespace, key, kubeconfig, token, server };
}

function hintFor(output: string, { serviceAccount, namespace, cluster }: RemoteSecretRequest): string {
  if (/unknown flag: --tls-server-name/.test(output)) return "tls-server-name needs Istio 1.26 or later.";
  if (/failed retrieving service account/.test(output))
    return `Is there a ServiceAccount ${namespace}/${serviceAccount} in ${cluster}? The Sail Operator makes it with the control plane.`;
  if (/no "(token|ca\.crt)" data found/.test(output))
    return `Kubernetes has not filled the token Secret of ${namespace}/${serviceAccount} yet: run again, and look at the kube-controller-manager if it stays so.`;
  if (/forbidden/i.test(output))
    return `The kubeconfig of ${cluster} needs to get service accounts, and list and create secrets, in ${namespace}.`;
  return `Does the kubeconfig of ${cluster} reach its API server from this runner?`;
}

function decodedData(data: unknown): Fields {
  return Object.fromEntries(
    Object.entries(fields(data)).map(([key, value]) => [key, Buffer.from(String(value), "base64").toString("utf8")]),
  );
}

/**
 * The objects in an output that is not YAML as a whole: each begins at a line `apiVersion:`, and of the lines that are not
 * indented only an object's own fields belong to it; the others are log lines, comments and separators.
 */
function documents(output: string): Fields[] {
  const found: string[][] = [];
  for (const line of output.split(/\r?\n/)) {
    if (/^apiVersion:/.test(line)) found.push([line]);
    else if (/^(\s|$|(kind|metadata|data|stringData|type|immutable|items):)/.test(line)) found.at(-1)?.push(line);
  }
  return found.flatMap((lines) => {
    try {
      return [fields(parse(lines.join("\n")))];
    } catch {
      // Not an object after all; the caller counts what is left.
      return [];
    }
  });
}
