/**
 * Whether tests are left out on this machine, and says which, and why; vitest counts them as skipped.
 * @param what the tests, and what they take that is not here
 */
export function leftOut(what: string, here: boolean): boolean {
  if (here) console.log(`left out here: ${what}`);
  return here;
}
