import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import type {} from "./faults.ts";

interface Count {
  readonly name: string;
  readonly cases: number;
  /** Whose request did not come. */
  readonly missed: number;
  /** Absent where the process was ended. */
  readonly passed?: number;
  readonly failures: number;
}

/** Adds up the cases of all files, and tells at the end. */
export default function setup(project: TestProject): () => void {
  const folder = mkdtempSync(join(tmpdir(), "faults-"));
  const file = join(folder, "counts");
  writeFileSync(file, "");
  project.provide("counts", file);
  return () => {
    const counts = readFileSync(file, "utf8")
      .split("\n")
      .filter(Boolean)
      .map((text): Count => JSON.parse(text));
    rmSync(folder, { recursive: true });
    const sum = (of: (count: Count) => number) => counts.reduce((total, count) => total + of(count), 0);
    console.log("\nCases with a fault");
    for (const { name, cases, passed, missed, failures } of counts.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      const parts = [
        ...(passed === undefined
          ? []
          : [`${passed} passed all the same`, `${cases - passed - missed} ended in an error`]),
        ...(missed > 0 ? [`${missed} whose request did not come`] : []),
        `${failures} failures`,
      ];
      console.log(`  ${name}: ${cases} cases: ${parts.join(", ")}`);
    }
    console.log(`${sum(({ cases }) => cases)} cases, ${sum(({ failures }) => failures)} failures`);
  };
}
