import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["test/e2e/**", "test/faults/**"],
    // No file changes what another one sees, so the modules are loaded once a worker; and they wait for half of their time.
    isolate: false,
    setupFiles: ["test/forget.ts"],
    maxWorkers: "150%",
    testTimeout: 30_000,
    // Keys of 4096 bits are found when they are found, on a busy machine late.
    hookTimeout: 60_000,
  },
});
