// What failed in the runs whose vitest JSON reports are given, a line each: the end of a log is what is read first, and
// all of it that some places keep.
import { readFileSync } from "node:fs";
import { relative } from "node:path";
import { stripVTControlCharacters } from "node:util";

/** How many characters of the beginning and of the end of a message are told. */
const ENDS = 250;

function told(text = "") {
  const line = stripVTControlCharacters(text.split(/\n +at /)[0])
    .replace(/\s+/g, " ")
    .trim();
  return line.length > 2 * ENDS ? `${line.slice(0, ENDS)} [...] ${line.slice(-ENDS)}` : line;
}

for (const path of process.argv.slice(2)) {
  for (const { name, status, message, assertionResults } of JSON.parse(readFileSync(path, "utf8")).testResults) {
    const file = relative(process.cwd(), name);
    const failures = assertionResults.filter((test) => test.status === "failed");
    for (const { fullName, failureMessages } of failures)
      console.log(`failed: ${file}: ${fullName}: ${told(failureMessages[0])}`);
    // What fails around the tests, a hook, is in the log only.
    if (status === "failed" && failures.length === 0)
      console.log(`failed: ${file}: ${told(message) || "before or after its tests"}`);
  }
}
