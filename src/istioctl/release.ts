import type { Tool } from "../tools/download.ts";

/** istioctl, as Istio's release page has it. */
export const ISTIOCTL: Tool = {
  name: "istioctl",
  project: "Istio",
  releases: {
    "linux/x64": { file: "linux-amd64.tar.gz", arch: "x64" },
    "linux/arm64": { file: "linux-arm64.tar.gz", arch: "arm64" },
    "linux/arm": { file: "linux-armv7.tar.gz", arch: "arm" },
    "darwin/x64": { file: "osx-amd64.tar.gz", arch: "x64" },
    "darwin/arm64": { file: "osx-arm64.tar.gz", arch: "arm64" },
    "win32/x64": { file: "win-amd64.zip", arch: "x64" },
    // Istio has no release for Windows on ARM; Windows 11 runs the amd64 one under emulation.
    "win32/arm64": { file: "win-amd64.zip", arch: "x64" },
  },
  archive: (version, file) => `${version}/istioctl-${version}-${file}`,
  sum: ".sha256",
  folder: () => "",
  inputs: { version: "istio-version", mirror: "istioctl-mirror", path: "istioctl-path" },
  serves: "`<version>/istioctl-<version>-<platform>`",
};
