import { rootCauses } from "../mesh/causes.ts";
import type { Report } from "../mesh/report.ts";
import { places } from "./words.ts";

/** What was gathered of one cluster, as its page lists it. */
export interface Gathered {
  readonly cluster: string;
  readonly exhibits: readonly { readonly path: string; readonly text: string }[];
  readonly missing: readonly { readonly path: string; readonly why: string }[];
}

/** The first page of an archive of diagnostics: what is wrong, and what is in which file. */
export function diagnosticsPage(report: Report, gathered: readonly Gathered[]): string {
  const causes = rootCauses(report.checks).map(
    ({ check, subjects }) =>
      `<li><b>${escaped(check.id)}</b> ${escaped(places(subjects))}: ${escaped(check.cause ?? check.evidence)}<br>${escaped(check.hint ?? "")}</li>`,
  );
  const clusters = gathered.map(({ cluster, exhibits, missing }) => {
    const files = exhibits.map(({ path, text }) => {
      const link = [cluster, ...path.split("/")].map(encodeURIComponent).join("/");
      return `<li><a href="${link}">${escaped(path)}</a> (${text.length} characters)</li>`;
    });
    const none = missing.map(({ path, why }) => `<li>${escaped(path)}: not there. ${escaped(why)}</li>`);
    return `<h2>${escaped(cluster)}</h2>\n<ul>\n${[...files, ...none].join("\n")}\n</ul>`;
  });
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Diagnostics of mesh ${escaped(report.mesh.id)}</title>
<style>body { max-width: 60rem; margin: 2rem auto; font: 1rem/1.5 system-ui, sans-serif; }</style>
<h1>Diagnostics of mesh ${escaped(report.mesh.id)}</h1>
<p>${escaped(report.command)}: ${escaped(report.result)}, ${escaped(report.startedAt)}. <a href="report.json">The report</a>.
No Secret's content is in here: of Secrets there are names, keys and sizes, and of other objects the fields that were chosen.
Logs and messages are without what looks like a credential; look at them before you give them to others all the same.</p>
<h2>Findings</h2>
${causes.length > 0 ? `<ol>\n${causes.join("\n")}\n</ol>` : "<p>None.</p>"}
${clusters.join("\n")}
</html>
`;
}

function escaped(text: string): string {
  const entities: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
  return text.replaceAll(/[&<>"']/g, (character) => entities[character] as string);
}
