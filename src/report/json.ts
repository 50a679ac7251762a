import type { Report } from "../mesh/report.ts";

/** The published JSON report. */
export function toJson(report: Report): string {
  return `${JSON.stringify(report, null, 2)}\n`;
}
