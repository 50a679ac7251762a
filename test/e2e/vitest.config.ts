import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";
import { PlainEnd } from "./reporter.ts";

/** The join comes first, for it wants fresh clusters; what comes after it takes any. */
class JoinFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = (file: TestSpecification) => (file.moduleId.endsWith("/join.test.ts") ? 0 : 1);
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
    sequence: { sequencer: JoinFirst },
    testTimeout: 15 * 60_000,
    hookTimeout: 5 * 60_000,
    reporters: [new PlainEnd()],
    // The runs' durations and request counts are for the reader, as they come.
    disableConsoleIntercept: true,
  },
});
