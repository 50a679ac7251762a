/** A value for a message: in quotes, on one line, not too long. */
export function quoted(value: string, longest = 60): string {
  const text = JSON.stringify(value.length > longest ? `${value.slice(0, longest)}…` : value);
  // JSON leaves these as they are, and to some readers they end a line.
  return text.replace(
    /[\u007f-\u009f\u2028\u2029]/g,
    (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
