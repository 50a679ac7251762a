import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findProgram, launchOf } from "../../src/cluster/program.ts";

// Windows' rules are looked at on any machine: only its files are this one's.
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "program-"));
  for (const name of ["a", "b"]) mkdirSync(join(folder, name));
  for (const file of ["a/az", "a/az.cmd", "a/both.exe", "a/both.cmd", "b/aws.exe", "b/az.exe", "b/plain", "b/x.ps1"])
    writeFileSync(join(folder, file), "", { mode: 0o755 });
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("a program is found", () => {
  const windows = (env: object = {}) => ({
    platform: "win32" as const,
    env: { Path: `${join(folder, "a")};${join(folder, "b")}`, PATHEXT: ".COM;.EXE;.BAT;.CMD", ...env },
  });
  test.each<[string, string | undefined]>([
    // The script for other shells beside it is none for Windows.
    ["az", "a/az.cmd"],
    ["aws", "b/aws.exe"],
    ["aws.exe", "b/aws.exe"],
    ["AZ.EXE".toLowerCase(), "b/az.exe"],
    ["both", "a/both.exe"],
    ["plain", undefined],
    ["x.ps1", undefined],
    ["none", undefined],
  ])("on Windows by the endings of PATHEXT: %s", (command, expected) => {
    expect(findProgram(command, windows())).toBe(expected && join(folder, expected));
  });

  test("on Windows by the endings that it is said to have", () => {
    expect(findProgram("both", windows({ PATHEXT: ".CMD;.EXE" }))).toBe(join(folder, "a/both.cmd"));
    expect(findProgram("az", windows({ PATHEXT: undefined }))).toBe(join(folder, "a/az.cmd"));
  });

  test("on Windows by its path", () => {
    expect(findProgram(join(folder, "a", "az"), windows())).toBe(join(folder, "a/az.cmd"));
  });

  test("elsewhere by its name alone", () => {
    const env = { PATH: `/none:${join(folder, "b")}:${join(folder, "a")}` };
    expect(findProgram("az", { platform: "linux", env })).toBe(join(folder, "a/az"));
    expect(findProgram("aws", { platform: "linux", env })).toBeUndefined();
    expect(findProgram("az", { platform: "linux", env: {} })).toBeUndefined();
  });
});

describe("a program is started", () => {
  const windows = { platform: "win32" as const, env: { ComSpec: "C:\\Windows\\system32\\cmd.exe" } };

  test("as it is, where it is one", () => {
    const launch = { args: ["a b", '"'], windowsVerbatimArguments: false };
    expect(launchOf("/bin/az", ["a b", '"'], { platform: "linux", env: {} })).toEqual({ file: "/bin/az", ...launch });
    expect(launchOf("C:\\az.exe", ["a b", '"'], windows)).toEqual({ file: "C:\\az.exe", ...launch });
  });

  test("on Windows by cmd.exe where it is a batch file, each word in quotes", () => {
    const args = ["account", "a b", "x&calc", "(y)|z", "C:\\dir\\", "^>", ""];
    expect(launchOf("C:\\Program Files\\az.cmd", args, windows)).toEqual({
      file: "C:\\Windows\\system32\\cmd.exe",
      args: [
        "/d",
        "/v:off",
        "/s",
        "/c",
        '""C:\\Program Files\\az.cmd" "account" "a b" "x&calc" "(y)|z" "C:\\dir\\\\" "^>" """',
      ],
      windowsVerbatimArguments: true,
    });
  });

  test.each(['a"&calc', "%PATH%", "a!b", "a\nb", "a\0"])("on Windows never with %j for a batch file", (word) => {
    expect(() => launchOf("C:\\az.CMD", [word], windows)).toThrow(/has a character that cmd\.exe would not take/);
  });
});
