import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";
import { PlainEnd } from "./reporter.ts";

const FIRST_AND_LAST = [
  ["/join.test.ts", 0],
  ["/uninstall.test.ts", 2],
  ["/beginnings.test.ts", 3],
  ["/living.test.ts", 4],
  ["/ownership.test.ts", 5],
  ["/rights.test.ts", 6],
  ["/disturbances.test.ts", 7],
] as const;

/** The join comes first, for it wants fresh clusters; the uninstallation late, for it leaves no mesh; then other meshes. */
class InOrder extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = (file: TestSpecification) => FIRST_AND_LAST.find(([name]) => file.moduleId.endsWith(name))?.[1] ?? 1;
    return [...files].sort((a, b) => rank(a) - rank(b) || a.moduleId.localeCompare(b.moduleId));
  }
}

export default defineConfig({
  test: {
    root: fileURLToPath(new URL("../..", import.meta.url)),
    include: ["test/e2e/**/*.test.ts"],
    globalSetup: ["test/e2e/setup.ts"],
    // All files speak to the same clusters.
    fileParallelism: false,
    sequence: { sequencer: InOrder },
    testTimeout: 15 * 60_000,
    hookTimeout: 5 * 60_000,
    reporters: [new PlainEnd()],
    // The runs' durations and request counts are for the reader, as they come.
    disableConsoleIntercept: true,
  },
});
