import { Failure } from "../mesh/failure.ts";

/** Something that was to be read: what it is, or the `Failure` that says why it could not be read, thrown. */
export type Part<T> = () => T;

/** A part of a cluster that did not answer. */
export function unanswered(cluster: string): Part<never> {
  return () => {
    throw new Failure(`It could not be looked at: ${cluster} did not answer.`);
  };
}

/** A part, where it could be read. */
export function readable<T>(part: Part<T>): T | undefined {
  try {
    return part();
  } catch (error) {
    if (error instanceof Failure) return undefined;
    throw error;
  }
}

/** What comes of the work, for later: the value, or its `Failure` when it is asked for. */
export async function part<T>(work: Promise<T>): Promise<Part<T>> {
  try {
    const value = await work;
    return () => value;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return () => {
      throw error;
    };
  }
}
