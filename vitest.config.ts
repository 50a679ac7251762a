import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** What waits the longest begins first, or all else would be over and it alone still wait. */
class WaitingFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const waits = ({ moduleId }: TestSpecification) => /\/test\/(process|canary)\.test\.ts$/.test(moduleId);
    const sorted = await super.sort(files);
    return [...sorted.filter(waits), ...sorted.filter((file) => !waits(file))];
  }
}

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["test/e2e/**", "test/faults/**"],
    // The modules are loaded once a worker: what a file changes for others, it or `forget.ts` puts back. And tests wait for
    // half of their time.
    isolate: false,
    sequence: { sequencer: WaitingFirst },
    setupFiles: ["test/forget.ts"],
    maxWorkers: 2 * availableParallelism(),
    env: { LOOPBACK_ONLY: "true" },
    testTimeout: 30_000,
    // Keys of 4096 bits are found when they are found, on a busy machine late.
    hookTimeout: 60_000,
  },
});
