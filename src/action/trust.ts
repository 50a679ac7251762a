import { loadRoot, type RootCa } from "../mesh/certificates/root.ts";
import { Failure } from "../mesh/failure.ts";
import type { Installer, TrustMode } from "../mesh/spec.ts";
import { FORK, type ReportProblem } from "./messages.ts";
import type { InputSource } from "./source.ts";

/** The inputs `ca-root-cert` and `ca-root-key`, and whether they go with the input `ca`. */
export async function readTrust(
  source: InputSource,
  installer: Installer,
  mode: TrustMode,
  report: ReportProblem,
  mask: (secret: string) => void,
): Promise<{ mode: TrustMode; root: RootCa | undefined }> {
  const certificate = source.get("ca-root-cert");
  const key = source.get("ca-root-key");
  if (key) mask(key);
  if (certificate && !key)
    report("ca-root-key", `is empty, though \`ca-root-cert\` is given; expected its private key. ${FORK}`);
  if (key && !certificate) report("ca-root-cert", "is empty, though `ca-root-key` is given; expected its certificate");
  if (mode === "provided" && !certificate && !key)
    report("ca-root-cert", `is empty; \`ca: provided\` expects it and \`ca-root-key\`. ${FORK}`);
  if ((mode === "existing" || mode === "generate") && (certificate || key)) {
    report(
      "ca",
      `is ${mode}, which does not use \`ca-root-cert\` and \`ca-root-key\`; leave them out, or choose provided`,
    );
  }
  if (installer === "existing" && (mode === "provided" || mode === "generate")) {
    report(
      "ca",
      `is ${mode}, but \`installer: existing\` leaves the control planes and their root of trust alone; choose existing or auto`,
    );
  }
  if (!certificate || !key) return { mode, root: undefined };
  try {
    return { mode, root: await loadRoot(certificate, key) };
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    report(
      "ca-root-cert",
      `and \`ca-root-key\` cannot be used: ${error.message.replace(/\.$/, "")}${error.hint ? `. ${error.hint.replace(/\.$/, "")}` : ""}`,
    );
    return { mode, root: undefined };
  }
}
