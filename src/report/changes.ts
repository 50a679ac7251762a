import { HIDDEN } from "../mesh/diff.ts";
import type { Action, Change, FieldChange, Report } from "../mesh/report.ts";
import { count, listed } from "../mesh/words.ts";
import { escaped, folded, plain, prose, Room, table } from "./text.ts";

/** Bytes of the table and of the fields. A plan has no matrix and no picture, whose room it takes. */
const TABLE_BYTES = 50_000;
const FIELD_BYTES = 50_000;
const PLANNED_FIELD_BYTES = 150_000;

/** From what may hurt on. */
const ACTIONS = ["deleted", "updated", "created"] as const satisfies readonly Action[];

/** The changes without what stays as it is. */
export function changed(changes: readonly Change[]): Change[] {
  return ACTIONS.flatMap((action) => changes.filter((change) => change.action === action));
}

/**
 * What would change, or was changed, in a sentence: `2 objects would be created in cluster1; 1 object would be updated in
 * cluster2.`
 * @param shown makes a cluster's name safe for where it goes
 */
export function changeSentence({ changes, command }: Report, shown = (name: string) => name): string {
  const would = command === "plan" ? "would be " : "";
  const parts = ACTIONS.flatMap((action) => {
    const of = changes.filter((change) => change.action === action);
    const where = listed(of.map(({ cluster }) => shown(cluster)));
    return of.length > 0 ? [`${count(of.length, "object")} ${would}${action} in ${where}`] : [];
  });
  if (parts.length > 0) return `${parts.join("; ")}.`;
  return command === "plan" ? "No object would be changed." : "Nothing had to be changed.";
}

/** What would become of the clusters' objects. */
export function planned(report: Report): string {
  if (changed(report.changes).length === 0) return "";
  return `### What would change\n\n${body(report, PLANNED_FIELD_BYTES)}`;
}

/** What became of the clusters' objects. */
export function made(report: Report): string {
  const all = changed(report.changes);
  // A verification makes and removes its own probes only.
  if (all.length === 0 || ["verify", "diagnose", "plan"].includes(report.command)) return "";
  return folded(count(all.length, "change"), body(report, FIELD_BYTES));
}

/** Each object once, with the clusters in which it changes; then its fields, folded. */
function body({ changes, command }: Report, bytes: number): string {
  const all = changed(changes);
  const header = [command === "plan" ? "Would be" : "", "Kind", "Object", "Where", "Note"];
  const rows = table(header, together(all, ["diff"]), new Room(TABLE_BYTES), ({ change, where }) => [
    change.action,
    escaped(change.kind),
    escaped(nameOf(change)),
    escaped(where),
    prose(change.note ?? ""),
  ]);
  const fields = all.filter(({ diff }) => diff !== undefined);
  if (fields.length === 0) return rows;
  return `${rows}\n\n${folded("The fields", diffOf(fields, new Room(bytes)))}`;
}

/** What is the same in several clusters, but for some of its parts, is one. */
function together(changes: readonly Change[], apart: readonly (keyof Change)[]): { change: Change; where: string }[] {
  const rest = (change: Change) =>
    Object.entries(change).filter(([key]) => key !== "cluster" && !apart.includes(key as keyof Change));
  return [...Map.groupBy(changes, (change) => JSON.stringify(rest(change))).values()].map((same) => ({
    change: same[0] as Change,
    where: listed(same.map(({ cluster }) => cluster)),
  }));
}

function nameOf({ namespace, name }: Change): string {
  return namespace ? `${namespace}/${name}` : name;
}

/** As many lines as there is room for. */
function diffOf(changes: readonly Change[], room: Room): string {
  const lines = together(changes, ["note"]).flatMap(({ change, where }) => [
    `@@ ${change.action} ${change.kind} ${nameOf(change)} in ${where} @@`,
    ...(change.diff ?? []).flatMap(fieldLines),
  ]);
  const safe = lines.map((line) => plain(line, LONGEST_LINE));
  const end = safe.findIndex((line) => !room.take(line));
  const shown = end < 0 ? safe : [...safe.slice(0, end), `# ${lines.length - end} more lines are in the JSON report`];
  // No line begins with a backtick, so none of them ends the block.
  return `\`\`\`diff\n${shown.join("\n")}\n\`\`\``;
}

const LONGEST_LINE = 300;

function fieldLines({ path, ...values }: FieldChange): string[] {
  const [old, now] = ["before" in values, "after" in values];
  if (old && now && values.before === HIDDEN) return [`! ${path}: differs; a Secret's values are not shown`];
  const shown = (value: unknown) => (value === HIDDEN ? HIDDEN : JSON.stringify(value));
  return [
    ...(old ? [`- ${path}: ${shown(values.before)}`] : []),
    ...(now ? [`+ ${path}: ${shown(values.after)}`] : []),
  ];
}
