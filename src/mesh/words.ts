/** Names in one list: all of a few, else the first ones and how many more there are. */
const FEW = 4;
const FIRST = 3;

/** `a, b and 17 more`, each name once. */
export function listed(names: readonly string[]): string {
  const different = [...new Set(names)];
  if (different.length <= FEW) return different.join(", ");
  return `${different.slice(0, FIRST).join(", ")} and ${different.length - FIRST} more`;
}

/** `1 check`, `2 checks`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
