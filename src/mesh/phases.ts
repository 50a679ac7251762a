/** The parts of a run, in its order, by the words of the report. */
export const PHASES = {
  preflight: "Preflight",
  trust: "Trust",
  controlPlane: "Control planes",
  gateway: "East-west gateways",
  remoteAccess: "Remote access",
  confirmation: "Confirmation",
  verification: "Verification",
  traffic: "Traffic",
  plan: "Plan",
  unlinking: "Links",
  removal: "Removal",
} as const;
export type Phase = keyof typeof PHASES;

/** `unknown`: could not be checked. `skipped`: did not apply, or something before it failed. Both say why in `cause`. */
export type Verdict = "passed" | "failed" | "unknown" | "skipped";

/** A verdict in one character. */
export const MARKS: Readonly<Record<Verdict, string>> = { passed: "✓", failed: "✗", unknown: "?", skipped: "–" };
