import { randomUUID } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import * as core from "@actions/core";
import { type AnyCall, problemOf } from "../checks/remote-access.ts";
import { connect, retriesOnly } from "../cluster/client.ts";
import { Deadline } from "../cluster/deadline.ts";
import { type Kubeconfig, readKubeconfig } from "../cluster/kubeconfig.ts";
import type { Member } from "../cluster/member.ts";
import { install } from "../commands/install.ts";
import { plan } from "../commands/plan.ts";
import { rotate } from "../commands/rotate.ts";
import { uninstall } from "../commands/uninstall.ts";
import { planVerify, type VerifyTools, verify } from "../commands/verify.ts";
import { helmFor } from "../helm/helm.ts";
import { istioctlFor } from "../istioctl/istioctl.ts";
import type { Verdict } from "../mesh/phases.ts";
import { holdsSecret } from "../mesh/redact.ts";
import type { Report } from "../mesh/report.ts";
import { count } from "../mesh/words.ts";
import { changeSentence } from "../report/changes.ts";
import { toJson } from "../report/json.ts";
import { toJUnit } from "../report/junit.ts";
import { inputProblemsToMarkdown, toMarkdown } from "../report/markdown.ts";
import { uninstallation } from "../report/uninstallation.ts";
import { goneOnWithout } from "../report/words.ts";
import { Lock } from "../steps/lock.ts";
import { Run } from "../steps/run.ts";
import { annotate, annotateChanges, annotateError } from "./annotations.ts";
import { writeDiagnostics } from "./diagnostics.ts";
import { type FailOn, type Inputs, readInputs } from "./inputs.ts";
import { Log } from "./log.ts";
import { mask } from "./masking.ts";
import { InputError, printable } from "./messages.ts";
import { setOutputs } from "./outputs.ts";
import { FOLDER_STATE, HOLDER_STATE, PROBE_STATE } from "./state.ts";

/** The whole action: inputs, command, report, outputs. The exit code is decided here and nowhere else. */
export async function main(): Promise<void> {
  const cancelled = cancellation();
  try {
    const { inputs, variables } = await takeInputs();
    const report = await execute(inputs, variables, cancelled);
    const drifted = inputs.failOnChange && report.changed;
    const well = succeeds(report, inputs.failOn);
    const archive = well && inputs.command !== "diagnose" ? undefined : await diagnostics(inputs, report, cancelled);
    await publish(report, archive, drifted);
    process.exitCode = well && !drifted ? 0 : 1;
  } catch (error) {
    annotateError(error);
    if (error instanceof InputError) await summarize(inputProblemsToMarkdown(error.problems));
    core.setOutput("result", "failed");
    core.setOutput("changed", "false");
    process.exitCode = 1;
  }
}

function succeeds({ result }: Report, failOn: FailOn): boolean {
  return result === "passed" || failOn === "never" || (result === "incomplete" && failOn === "failed");
}

/** Aborts when the runner cancels the job: it sends SIGINT, then SIGTERM, and kills ten seconds after the first. */
function cancellation(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => controller.abort());
  return controller.signal;
}

/**
 * Reads the inputs, and takes them and all that holds a secret out of the environment, which every child would inherit: a
 * credential plugin is one, too.
 */
async function takeInputs(): Promise<{ inputs: Inputs; variables: string[] }> {
  const variables: string[] = [];
  const inputs = await readInputs(
    {
      get: (name) => core.getInput(name),
      env: (name) => {
        variables.push(name);
        return process.env[name];
      },
      machine: process.env,
    },
    mask,
  );
  for (const [name, value = ""] of Object.entries(process.env)) {
    // A proxy's password may be a kubeconfig's, too, and it is needed where it is.
    if (/^(https?|all)_proxy$/i.test(name)) continue;
    if (/^INPUT_/i.test(name) || variables.includes(name) || holdsSecret(value)) delete process.env[name];
  }
  return { inputs, variables };
}

async function execute(inputs: Inputs, variables: readonly string[], cancelled: AbortSignal): Promise<Report> {
  const log = new Log();
  const deadline = new Deadline(inputs.timeout, cancelled);
  const folder = join(process.env.RUNNER_TEMP || tmpdir(), `istio-mesh-${randomUUID()}`);
  // Saved before it exists, so that the post step finds it even if this process is killed in between.
  core.saveState(FOLDER_STATE, folder);
  await mkdir(folder, { recursive: true, mode: 0o700 });

  const members: Member[] = inputs.mesh.clusters.map((spec) => {
    const kubeconfig = inputs.kubeconfigs.get(spec.name) as Kubeconfig;
    return { spec, kubeconfig, cluster: connect(spec.name, kubeconfig, deadline, log) };
  });
  const run = new Run(inputs.command, inputs.mesh, members, log);
  const onProgress = (text: string) => run.say("preflight", {}, text);
  const istioctl = istioctlFor({ ...inputs.istioctl, deadline, onProgress }, folder, variables);
  const helm = helmFor({ ...inputs.helm, deadline, onProgress }, folder, variables);
  const tools = verifyTools(deadline, log);
  const holder = holderOf(process.env);
  core.saveState(HOLDER_STATE, holder);
  const lock = new Lock({ holder, lastly: tools.lastly });
  const looks = { traffic: inputs.traffic, services: inputs.services };
  const verification = inputs.verify ? { ...looks, ...tools } : undefined;
  try {
    if (inputs.command === "verify" || inputs.command === "diagnose") {
      run.plan(...planVerify(inputs.mesh, inputs.services));
      await verify(run, inputs.mesh, members, { ...looks, ...tools });
    } else if (inputs.command === "rotate") {
      const { prune, root } = inputs;
      await rotate(run, inputs.mesh, members, { verification, lock, call: tools.call, prune, root });
    } else if (inputs.command === "uninstall") {
      const { gone, uninstallScope } = inputs;
      await uninstall(run, inputs.mesh, members, uninstallScope, lock, { gone, call: tools.call });
    } else if (inputs.command === "plan") {
      await plan(run, inputs.mesh, members, { istioctl, root: inputs.root, prune: inputs.prune });
    } else {
      await install(run, inputs.mesh, members, {
        istioctl,
        helm,
        root: inputs.root,
        prune: inputs.prune,
        verification,
        lock,
        call: tools.call,
        left: () => deadline.remaining(),
      });
    }
    return run.report();
  } finally {
    if (await lock.release(inputs.command === "uninstall" && inputs.uninstallScope === "all"))
      core.saveState(HOLDER_STATE, "");
    log.end();
    await Promise.all(members.map(({ cluster }) => cluster.close()));
  }
}

/** How long what is left on the clusters is cleaned up after the run's deadline, or its cancellation. Milliseconds. */
const CLEANUP = 30_000;
const CLEANUP_CANCELLED = 5_000;
/** How long an API server that only a remote secret names is tried. Milliseconds. */
const CALL = 3_000;

function verifyTools(
  deadline: Deadline,
  log: Log,
): Omit<VerifyTools, "traffic" | "services" | "call"> & { readonly call: AnyCall } {
  const probing = new Set<string>();
  return {
    call: async (kubeconfig, ask) => {
      const read = readKubeconfig(kubeconfig, undefined, { foreign: true });
      if ("problem" in read) return { problem: `The kubeconfig ${read.problem}.`, by: "nobody" };
      const watcher = retriesOnly((_, text) => log.retrying(read.server, text));
      const cluster = connect("", read, new Deadline(Math.min(CALL, deadline.remaining())), watcher);
      try {
        return await ask(cluster);
      } catch (error) {
        return problemOf(error);
      } finally {
        await cluster.close();
      }
    },
    probing: (namespace, there) => {
      if (there) probing.add(namespace);
      else probing.delete(namespace);
      core.saveState(PROBE_STATE, [...probing].join(" "));
    },
    isOver: () => deadline.passed,
    lastly: (member) => {
      if (!deadline.passed) return { cluster: member.cluster };
      // Cancelled, the runner kills this process within seconds; the post step looks again.
      const within = deadline.cancelled ? CLEANUP_CANCELLED : CLEANUP;
      return { cluster: connect(member.spec.name, member.kubeconfig, new Deadline(within), log) };
    },
  };
}

/**
 * What helps to understand the clusters, in an archive for `actions/upload-artifact`. It never changes a run's result.
 * @returns its path
 */
async function diagnostics(
  { mesh, kubeconfigs }: Inputs,
  report: Report,
  cancelled: AbortSignal,
): Promise<string | undefined> {
  // The runner kills what goes on after a cancellation.
  if (cancelled.aborted) return undefined;
  const file = join(process.env.RUNNER_TEMP || tmpdir(), `istio-mesh-diagnostics-${randomUUID()}.tar.gz`);
  const members = mesh.clusters.map((spec) => ({ spec, kubeconfig: kubeconfigs.get(spec.name) as Kubeconfig }));
  try {
    await writeDiagnostics(file, report, mesh, members, cancelled);
    core.info(`Diagnostics of all clusters: ${file}. Keep them with actions/upload-artifact.`);
    return file;
  } catch (error) {
    core.warning(printable(`The diagnostics could not be written: ${error instanceof Error ? error.message : error}`));
    return undefined;
  }
}

/** @param drifted whether the step fails for the plan's changes */
async function publish(report: Report, diagnostics: string | undefined, drifted: boolean): Promise<void> {
  const name = join(process.env.RUNNER_TEMP || tmpdir(), `istio-mesh-report-${randomUUID()}`);
  const paths = { report: `${name}.json`, junit: `${name}.xml` };
  const mode = 0o600;
  await Promise.all([
    writeFile(paths.report, toJson(report), { mode }),
    writeFile(paths.junit, toJUnit(report), { mode }),
  ]);
  const documentation = documentationUrl(process.env);
  setOutputs(report, { ...paths, ...(diagnostics ? { diagnostics } : {}) });
  annotate(report, documentation);
  if (drifted) annotateChanges(report);
  core.info(`${sentence(report)} ${report.seconds.toFixed(1)} s.`);
  await summarize(toMarkdown(report, documentation));
}

/** Elsewhere than on a runner there is no job summary to write to. */
async function summarize(markdown: string): Promise<void> {
  if (process.env.GITHUB_STEP_SUMMARY) await core.summary.addRaw(markdown).write();
}

/** The result in a sentence, as the last line of the log. */
function sentence(report: Report): string {
  const { result, clusters, checks, changed, command, traffic } = report;
  const many = (verdict: Verdict) => count(checks.filter((check) => check.verdict === verdict).length, "check");
  const failures = `${many("failed")} failed; see the annotations and the job summary.`;
  if (command === "uninstall") {
    const { end, done } = uninstallation(report);
    const why = result === "failed" ? ` ${failures}` : "";
    return `${end}; ${done}.${why}`;
  }
  if (result === "failed") {
    const without = goneOnWithout(report);
    return `${without}${without && " "}${failures}`;
  }
  if (result === "incomplete") return `${many("unknown")} could not be made; see the job summary.`;
  if (command === "rotate") return `The tokens that ${clusters.length} clusters read each other by are new.`;
  if (command === "plan") return `${changeSentence(report)} Nothing was changed.`;
  if (report.nextRunAfter) return `The change of the root is under way; run again after ${report.nextRunAfter}.`;
  const changes =
    command === "verify" || command === "diagnose"
      ? ""
      : `; ${changed ? "changes were made" : "nothing had to be changed"}`;
  const proof = traffic ? ", and every pair of them answers" : "; no requests were sent between them";
  return `${clusters.length} clusters are one mesh${proof}${changes}.`;
}

/** Who this run is, for those who wait for it: where it can be looked at, and by what it differs from its sisters. */
export function holderOf(env: NodeJS.ProcessEnv): string {
  const { GITHUB_SERVER_URL, GITHUB_REPOSITORY, GITHUB_RUN_ID, GITHUB_RUN_ATTEMPT = "1" } = env;
  const run = `${GITHUB_SERVER_URL}/${GITHUB_REPOSITORY}/actions/runs/${GITHUB_RUN_ID}/attempts/${GITHUB_RUN_ATTEMPT}`;
  return `${GITHUB_RUN_ID ? run : `process ${process.pid} on ${hostname()}`} (${randomUUID().slice(0, 8)})`;
}

/** Where this version's documentation is; `undefined` where the action does not run from a repository. */
export function documentationUrl(env: NodeJS.ProcessEnv): string | undefined {
  const { GITHUB_SERVER_URL, GITHUB_ACTION_REPOSITORY, GITHUB_ACTION_REF, GITHUB_REPOSITORY, GITHUB_SHA } = env;
  if (!GITHUB_SERVER_URL) return undefined;
  // `uses: ./` has no repository of its own: it is the workflow's.
  const [repository, ref] = GITHUB_ACTION_REPOSITORY
    ? [GITHUB_ACTION_REPOSITORY, GITHUB_ACTION_REF]
    : [GITHUB_REPOSITORY, GITHUB_SHA];
  return repository && ref ? `${GITHUB_SERVER_URL}/${repository}/blob/${ref}` : undefined;
}
