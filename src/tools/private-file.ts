import { randomUUID } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

/**
 * Does the work with a file that a child is to read: private to this user, and gone when the work is over.
 * @param directory where it is kept meanwhile, private, too
 * @param name for a reader of the child's messages
 */
export async function withPrivateFile<T>(
  directory: string,
  name: string,
  text: string,
  work: (file: string) => Promise<T>,
): Promise<T> {
  const file = join(directory, `${name}-${randomUUID()}.json`);
  try {
    await writeFile(file, text, { mode: 0o600, flag: "wx" });
    return await work(file);
  } finally {
    await rm(file, { force: true });
  }
}
