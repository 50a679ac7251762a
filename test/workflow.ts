// Workflows as YAML, and what is wrong with their use of this action.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { COMMANDS } from "../src/action/inputs.ts";

export interface Step {
  readonly id?: string;
  readonly name?: string;
  readonly uses?: string;
  readonly run?: string;
  readonly with?: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, unknown>>;
}

export interface Job {
  readonly if?: string;
  readonly needs?: string | readonly string[];
  readonly permissions?: Readonly<Record<string, string>>;
  readonly steps?: readonly Step[];
  readonly uses?: string;
  readonly with?: Readonly<Record<string, unknown>>;
  readonly secrets?: unknown;
  readonly outputs?: Readonly<Record<string, string>>;
  readonly "timeout-minutes"?: number | string;
}

export interface Workflow {
  readonly name?: string;
  readonly permissions?: unknown;
  readonly jobs: Readonly<Record<string, Job>>;
}

export const steps = (workflow: Workflow): Step[] => Object.values(workflow.jobs).flatMap((job) => job.steps ?? []);

const action: { inputs: object; outputs: object } = parse(
  readFileSync(join(import.meta.dirname, "../action.yml"), "utf8"),
);

const known = { inputs: Object.keys(action.inputs), commands: COMMANDS as readonly string[] };

const isOurs = ({ uses }: Step) => uses === "./" || uses === "OWNER/NAME@v1";

/** Inputs, and outputs of a step of ours, that action.yml does not have. */
export function actionProblems(workflow: Workflow): string[] {
  return Object.entries(workflow.jobs).flatMap(([name, job]) => {
    const steps = (job.steps ?? []).filter(isOurs);
    const inputs = steps
      .flatMap((step) => Object.keys(step.with ?? {}))
      .filter((input) => !known.inputs.includes(input));
    const commands = steps.flatMap((step) => (step.with?.command === undefined ? [] : [String(step.with.command)]));
    const used = steps.flatMap(({ id }) => {
      const pattern = new RegExp(`\\bsteps\\.${id}\\.outputs\\.([\\w-]+)`, "g");
      return id ? [...JSON.stringify(job).matchAll(pattern)].map(([, output = ""]) => output) : [];
    });
    const outputs = used.filter((output) => !(output in action.outputs));
    const unknown = commands.filter((command) => !command.includes("${{") && !known.commands.includes(command));
    return [
      ...inputs.map((input) => `job ${name}: there is no input ${input}`),
      ...unknown.map((command) => `job ${name}: there is no command ${command}`),
      ...outputs.map((output) => `job ${name}: there is no output ${output}`),
    ];
  });
}
