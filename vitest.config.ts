import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["test/e2e/**", "test/faults/**"],
    // The modules are loaded once a worker: what a file changes for others, it or `forget.ts` puts back. And tests wait for
    // half of their time.
    isolate: false,
    setupFiles: ["test/forget.ts"],
    maxWorkers: "150%",
    env: { LOOPBACK_ONLY: "true" },
    testTimeout: 30_000,
    // Keys of 4096 bits are found when they are found, on a busy machine late.
    hookTimeout: 60_000,
  },
});
