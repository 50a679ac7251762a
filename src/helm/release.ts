import type { Tool } from "../tools/download.ts";

/** Of the releases that install the operator's chart, the one that is downloaded where there is no Helm. */
export const HELM_VERSION = "3.22.0";

/** Helm, as its own download page has it. */
export const HELM: Tool = {
  name: "helm",
  project: "Helm",
  releases: {
    "linux/x64": { file: "linux-amd64.tar.gz", arch: "x64" },
    "linux/arm64": { file: "linux-arm64.tar.gz", arch: "arm64" },
    "linux/arm": { file: "linux-arm.tar.gz", arch: "arm" },
    "darwin/x64": { file: "darwin-amd64.tar.gz", arch: "x64" },
    "darwin/arm64": { file: "darwin-arm64.tar.gz", arch: "arm64" },
    "win32/x64": { file: "windows-amd64.zip", arch: "x64" },
    "win32/arm64": { file: "windows-arm64.zip", arch: "arm64" },
  },
  archive: (version, file) => `helm-v${version}-${file}`,
  sum: ".sha256sum",
  folder: (file) => file.replace(/\.(tar\.gz|zip)$/, ""),
  inputs: { version: HELM_VERSION, mirror: "helm-mirror" },
  serves: "`helm-v<version>-<platform>`",
};
