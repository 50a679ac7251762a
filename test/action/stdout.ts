import { vi } from "vitest";

/** The lines that are written to standard output while something runs, as the runner reads them. */
export async function stdout(act: () => unknown): Promise<string[]> {
  let text = "";
  const spy = vi.spyOn(process.stdout, "write").mockImplementation((chunk) => {
    text += chunk;
    return true;
  });
  try {
    await act();
  } finally {
    spy.mockRestore();
  }
  return text.split("\n").slice(0, -1);
}

// Every name by which the runner knows a command (src/Runner.Worker/ActionCommandManager.cs and its extensions).
const COMMANDS =
  "add-mask|add-matcher|add-path|debug|echo|endgroup|error|group|internal-set-repo-path|notice|remove-matcher|save-state|set-env|set-output|stop-commands|warning";

/** Whether the runner takes a line for a command: `::x::` where the line begins, `##[x]` anywhere in it. */
export function isCommand(line: string): boolean {
  return (
    new RegExp(`^\\s*::(${COMMANDS})( [^:]*)?::`, "i").test(line) || new RegExp(`##\\[(${COMMANDS})`, "i").test(line)
  );
}
