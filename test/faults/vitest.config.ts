import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    root: fileURLToPath(new URL("../..", import.meta.url)),
    include: ["test/faults/**/*.test.ts"],
    globalSetup: ["test/faults/setup.ts"],
    setupFiles: ["test/faults/keys.ts"],
    maxWorkers: availableParallelism(),
    env: { LOOPBACK_ONLY: "true" },
    testTimeout: 15 * 60_000,
    hookTimeout: 60_000,
    disableConsoleIntercept: true,
  },
});
