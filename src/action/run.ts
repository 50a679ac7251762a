import { randomUUID } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as core from "@actions/core";
import { connect } from "../cluster/client.ts";
import { Deadline } from "../cluster/deadline.ts";
import type { Kubeconfig } from "../cluster/kubeconfig.ts";
import type { Member } from "../cluster/member.ts";
import { install } from "../commands/install.ts";
import { istioctlFor } from "../istioctl/istioctl.ts";
import type { Report } from "../mesh/report.ts";
import { toJson } from "../report/json.ts";
import { inputProblemsToMarkdown, toMarkdown } from "../report/markdown.ts";
import { Run } from "../steps/run.ts";
import { annotate, annotateError } from "./annotations.ts";
import { InputError, type Inputs, readInputs } from "./inputs.ts";
import { Log } from "./log.ts";
import { mask } from "./masking.ts";
import { setOutputs } from "./outputs.ts";
import { FOLDER_STATE } from "./state.ts";

/** The whole action: inputs, command, report, outputs. The exit code is decided here and nowhere else. */
export async function main(): Promise<void> {
  const cancelled = cancellation();
  try {
    const { inputs, variables } = await takeInputs();
    const report = await execute(inputs, variables, cancelled);
    await publish(report);
    process.exitCode = report.result === "passed" ? 0 : 1;
  } catch (error) {
    annotateError(error);
    if (error instanceof InputError) await summarize(inputProblemsToMarkdown(error.problems));
    core.setOutput("result", "failed");
    core.setOutput("changed", "false");
    process.exitCode = 1;
  }
}

/** Aborts when the runner cancels the job: it sends SIGINT, then SIGTERM, and kills ten seconds after the first. */
function cancellation(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => controller.abort());
  return controller.signal;
}

/** Reads the inputs and takes those that are secret out of the environment, which every child would inherit. */
async function takeInputs(): Promise<{ inputs: Inputs; variables: string[] }> {
  const variables: string[] = [];
  const inputs = await readInputs(
    {
      get: (name) => core.getInput(name),
      env: (name) => {
        variables.push(name);
        return process.env[name];
      },
    },
    mask,
  );
  for (const name of Object.keys(process.env)) {
    if (/^INPUT_.*(KUBECONFIG|CLUSTERS|KEY)$/i.test(name) || variables.includes(name)) delete process.env[name];
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
  const istioctl = istioctlFor(
    { version: inputs.mesh.istioVersion, ...inputs.istioctl, onProgress: (text) => run.say("preflight", {}, text) },
    folder,
    variables,
    deadline.signal,
  );
  try {
    await install(run, inputs.mesh, members, { istioctl, root: inputs.root });
    return run.report();
  } finally {
    log.end();
    await Promise.all(members.map(({ cluster }) => cluster.close()));
  }
}

async function publish(report: Report): Promise<void> {
  const path = join(process.env.RUNNER_TEMP || tmpdir(), `istio-mesh-report-${randomUUID()}.json`);
  await writeFile(path, toJson(report));
  setOutputs(report, path);
  annotate(report);
  const failed = report.checks.filter(({ verdict }) => verdict === "failed").length;
  core.info(
    report.result === "passed"
      ? `${report.clusters.length} clusters are one mesh; ${report.changed ? "changes were made" : "nothing had to be changed"}. ${report.seconds.toFixed(1)} s.`
      : `${failed} checks failed; see the annotations and the job summary. ${report.seconds.toFixed(1)} s.`,
  );
  await summarize(toMarkdown(report));
}

/** Elsewhere than on a runner there is no job summary to write to. */
async function summarize(markdown: string): Promise<void> {
  if (process.env.GITHUB_STEP_SUMMARY) await core.summary.addRaw(markdown).write();
}
