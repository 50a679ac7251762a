// The main job as a GitHub runner does it: the built action joins two clusters, and its job summary is shown here and as
// a page. `npm run demo` uses two embedded Kubernetes APIs; `npm run demo -- --kind` two kind clusters;
// `--picture FILE` adds a picture of the page, and `INPUT=VALUE` gives the action another input.
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ROOT, type RunOptions, type RunResult, runAction } from "../runner.ts";
import { startEmbeddedClusters } from "./embedded.ts";
import { writePage } from "./html.ts";
import { ISTIO_VERSION, missingForKind, OPERATOR_VERSION, startKindClusters } from "./kind.ts";
import { logPrinter } from "./log.ts";
import { picture } from "./picture.ts";
import { style, terminal } from "./terminal.ts";

const PAGE = join(ROOT, "demo/summary.html");

interface Clusters {
  readonly inputs: RunOptions["inputs"];
  readonly env?: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

async function embedded(): Promise<Clusters> {
  process.env.LOOPBACK_ONLY = "true";
  say("Starting two embedded Kubernetes APIs. No real cluster is touched.");
  return startEmbeddedClusters();
}

async function kind(): Promise<Clusters> {
  const missing = await missingForKind();
  if (missing.length > 0) {
    console.error(
      `The demo on kind needs more than there is here:\n${missing.map((line) => `  - ${line}`).join("\n")}`,
    );
    process.exit(1);
  }
  say("Starting two kind clusters. This takes a few minutes.");
  const { kubeconfigs, stop } = await startKindClusters((line) => console.log(`  ${line}`));
  const [one = "", two = ""] = kubeconfigs;
  return {
    inputs: {
      "cluster1-kubeconfig": one,
      "cluster2-kubeconfig": two,
      "istio-version": ISTIO_VERSION,
      "install-operator": "true",
      "operator-version": OPERATOR_VERSION,
    },
    stop,
  };
}

async function show(result: RunResult): Promise<void> {
  say("The job summary");
  console.log(`\n${terminal(result.summary)}`);
  say("The outputs");
  for (const [name, value] of Object.entries(result.outputs)) console.log(`  ${style("cyan", name)}: ${value}`);
  await writePage(PAGE, "istio-mesh-action: job summary", result.summary);
}

function say(text: string): void {
  console.log(`\n${style("bold", `== ${text}`)}`);
}

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: { kind: { type: "boolean" }, picture: { type: "string" } },
});
const given = Object.fromEntries(positionals.map((text) => text.split(/=(.*)/s).slice(0, 2)));
const clusters = await (flags.kind ? kind() : embedded());
const inputs = { ...clusters.inputs, ...given };
let code = 1;
try {
  say("Running dist/main as a GitHub runner does");
  const first = await runAction({ inputs, env: clusters.env ?? {}, onLine: logPrinter() });
  await show(first);
  code = first.exitCode === 0 && first.outputs.result === "passed" ? 0 : 1;

  if (code === 0) {
    say("Running it again: there is nothing to change");
    const again = await runAction({ inputs, env: clusters.env ?? {} });
    const { result, changed } = again.outputs;
    console.log(`  result: ${result}, changed: ${changed}, in ${again.seconds.toFixed(1)} s`);
    if (result !== "passed" || changed !== "false") code = 1;
  }
} finally {
  await clusters.stop();
}
console.log(`\nThe summary as a page: ${PAGE}`);
if (flags.picture) {
  await picture(PAGE, flags.picture);
  console.log(`Its picture: ${flags.picture}`);
}
process.exit(code);
