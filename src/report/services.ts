import { MARKS, type Report, type ServiceSubject } from "../mesh/report.ts";
import { escaped, Room, table } from "./text.ts";

/** Above this the columns have numbers, as the clusters have in the other tables. */
const MOST_NAMED = 8;
const BYTES = 50_000;

/** The user's Services, and from which clusters each is reached; nothing where none was asked for. */
export function services(report: Report): string {
  const looked = report.checks.filter(({ id }) => id === "service.reached");
  if (looked.length === 0) return "";
  const found = Map.groupBy(looked, ({ subject }) => (subject as ServiceSubject).service);
  const names = report.clusters.map(({ name }) => name);
  const columns = names.map((name, i) => (names.length > MOST_NAMED ? String(i + 1) : escaped(name)));
  const rows = table(["from →", ...columns], [...found], new Room(BYTES), ([service, checks]) => [
    `**${escaped(service)}**`,
    ...names.map((name) => {
      const check = checks.find(({ subject }) => (subject as ServiceSubject).cluster === name);
      if (!check) return "·";
      return check.verdict === "failed" ? `**${MARKS.failed}**` : MARKS[check.verdict];
    }),
  ]);
  return `### Services\n\nCallers in the column's cluster reach the row's Service wherever it has endpoints.\n\n${rows}`;
}
