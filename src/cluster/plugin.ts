import { basename } from "node:path";
import { Failure } from "../mesh/failure.ts";
import type { Fields } from "../mesh/fields.ts";
import { withhold } from "../mesh/redact.ts";
import { message, pluginEnvironment, quoted, runProgram } from "./child.ts";
import { within } from "./deadline.ts";
import { clip } from "./errors.ts";
import { findProgram } from "./program.ts";

/** What a credential plugin gave. All but `expires` is secret. */
export interface PluginCredentials {
  readonly token?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly expires?: Date;
}

/** Nobody is there whom a plugin could wait for; the slowest need some ten seconds. Milliseconds. */
const WITHIN = 120_000;
const INFO = "KUBERNETES_EXEC_INFO";

/** A plugin's name for messages: not its arguments, which may hold a secret. */
export function pluginName({ command }: Fields): string {
  return basename(String(command).replaceAll("\\", "/"));
}

/**
 * Runs the credential plugin of a kubeconfig's user, as client-go does, and gives its credentials; throws a `Failure` with
 * what it said, secrets removed. It has no terminal, and ends with the signal at the latest.
 * @param exec the entry `exec` of the user
 * @param cluster what is told about the API server to those that ask for it (`provideClusterInfo`)
 */
export async function runPlugin(exec: Fields, cluster: Fields, signal: AbortSignal): Promise<PluginCredentials> {
  const name = pluginName(exec);
  const path = findProgram(String(exec.command));
  const install = typeof exec.installHint === "string" ? ` Its kubeconfig says: ${clip(exec.installHint)}` : "";
  if (!path)
    throw new Failure(`The login plugin ${name} is not on this runner.`, `Install it in a step before.${install}`);
  const args = Array.isArray(exec.args) ? exec.args.map(String) : [];
  const ended = await within(WITHIN, signal, (signal) =>
    runProgram(path, args, {
      env: { ...pluginEnvironment(), ...variablesOf(exec), [INFO]: info(exec, cluster) },
      signal,
      what: "the login",
      late: "It must log in without a browser, a terminal or a question: run it by hand on this runner with its input closed (`</dev/null`). `timeout` sets another deadline.",
      broken: `Is it a program for this machine's platform, and executable?${install}`,
    }),
  );
  if (ended.code !== 0) {
    throw new Failure(
      `The login plugin ${name} ended with exit code ${ended.code}.${quoted(ended.stderr)}`,
      `Run it by hand on this runner, as kubectl does, and see that it is logged in there.${install}`,
    );
  }
  return read(ended.stdout, (what) => {
    const said = message(ended.stderr);
    return new Failure(
      `The login plugin ${name} gave no credentials: ${what}.${said && ` It said: ${said}`}`,
      "It must print an ExecCredential with a token or a client certificate: is it the right program, with the right arguments?",
    );
  });
}

function variablesOf({ env }: Fields): Record<string, string> {
  const entries = Array.isArray(env) ? (env as { name?: unknown; value?: unknown }[]) : [];
  return Object.fromEntries(entries.map((entry) => [String(entry?.name), String(entry?.value ?? "")]));
}

function info({ apiVersion, provideClusterInfo }: Fields, cluster: Fields): string {
  const spec = { interactive: false, ...(provideClusterInfo === true ? { cluster } : {}) };
  return JSON.stringify({ apiVersion, kind: "ExecCredential", spec });
}

/** Quotes nothing of what was printed: it is a credential. */
function read(stdout: string, wrong: (what: string) => Failure): PluginCredentials {
  let printed: unknown;
  try {
    printed = JSON.parse(stdout);
  } catch {
    throw wrong(stdout.trim() === "" ? "it printed nothing" : "it printed something that is no JSON");
  }
  const { kind, status } = (printed ?? {}) as { kind?: unknown; status?: Fields };
  if (kind !== "ExecCredential" || !status) throw wrong("it printed no ExecCredential with a status");
  const text = (name: string) =>
    typeof status[name] === "string" && status[name] ? (status[name] as string) : undefined;
  const token = text("token");
  const cert = text("clientCertificateData");
  const key = text("clientKeyData");
  for (const secret of [token, key]) if (secret) withhold(secret);
  if (Boolean(cert) !== Boolean(key)) throw wrong("it printed a client certificate or a key without the other");
  if (!token && !cert) throw wrong("it printed neither a token nor a client certificate");
  const expires = new Date(text("expirationTimestamp") ?? Number.NaN);
  return {
    ...(token ? { token } : {}),
    ...(cert && key ? { cert, key } : {}),
    ...(Number.isNaN(expires.getTime()) ? {} : { expires }),
  };
}
