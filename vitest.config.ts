import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["test/e2e/**", "test/faults/**"],
    testTimeout: 30_000,
    // Keys of 4096 bits are found when they are found, on a busy machine late.
    hookTimeout: 60_000,
  },
});
