import { MARKS } from "../mesh/phases.ts";
import type { Check, Report, ServiceSubject } from "../mesh/report.ts";
import { listed } from "../mesh/words.ts";
import { escaped, Room, table } from "./text.ts";

/** Above this the columns have numbers, as the clusters have in the other tables. */
const MOST_NAMED = 8;
const BYTES = 50_000;

/** The user's Services, and from which clusters each is reached; nothing where none was asked for. */
export function services(report: Report): string {
  const looked = report.checks.filter(({ category }) => category === "service");
  if (looked.length === 0) return "";
  const found = Map.groupBy(looked, ({ subject }) => (subject as ServiceSubject).service);
  const lines = [...found].flatMap(([service, checks]) => {
    const of = (id: Check["id"]) => checks.filter((check) => check.id === id);
    const reached = { name: `**${escaped(service)}**`, checks: of("service.reached") };
    const answered = { name: `${escaped(service)} answered`, checks: of("service.answered") };
    return answered.checks.length > 0 ? [reached, answered] : [reached];
  });
  const names = report.clusters.map(({ name }) => name);
  const columns = names.map((name, i) => (names.length > MOST_NAMED ? String(i + 1) : escaped(name)));
  const rows = table(["from →", ...columns], lines, new Room(BYTES), ({ name, checks }) => [
    name,
    ...names.map((cluster) => {
      const check = checks.find(({ subject }) => (subject as ServiceSubject).cluster === cluster);
      if (!check) return "·";
      return `${check.verdict === "failed" ? `**${MARKS.failed}**` : MARKS[check.verdict]}${who(check)}`;
    }),
  ]);
  const asked = lines.length > found.size;
  return `### Services\n\nCallers in the column's cluster reach the row's Service wherever it has endpoints.${asked ? " Where it was asked: which clusters' endpoints answered, and which were not met." : ""}\n\n${rows}`;
}

/** Which clusters' endpoints were seen to answer, and which were not. */
function who({ id, verdict, readings }: Check): string {
  if (id !== "service.answered" || verdict === "skipped") return "";
  const values = readings.find(({ values }) => "answered" in values)?.values ?? {};
  const { answered = {}, having = [] } = values as { answered?: Record<string, number>; having?: readonly string[] };
  const names = Object.keys(answered);
  // Behind one gateway there may be several: `cluster2 or cluster3`.
  const not = having.filter((cluster) => !names.some((each) => each.split(" or ").includes(cluster)));
  const told = [
    ...(names.length > 0 ? [escaped(listed(names))] : []),
    ...(not.length > 0 ? [`not ${escaped(listed(not))}`] : []),
  ];
  return told.length > 0 ? ` ${told.join("; ")}` : "";
}
