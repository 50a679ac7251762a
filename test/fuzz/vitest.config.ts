import { defineConfig } from "vitest/config";

// The properties of the ordinary tests, with many more cases, from another seed each time; a failure tells it.
const seed = process.env.FUZZ_SEED ?? String(Date.now() % 2 ** 31);
console.log(`FUZZ_SEED=${seed}`);

export default defineConfig({
  test: {
    include: ["test/fuzz/**/*.test.ts"],
    env: { FUZZ_SEED: seed, FUZZ_TIMES: process.env.FUZZ_TIMES ?? "50" },
    testTimeout: 1_800_000,
  },
});
