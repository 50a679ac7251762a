import { fields } from "./fields.ts";
import type { Values } from "./spec.ts";
import known from "./versions/known.json" with { type: "json" };

const { retired: RETIRED, gone: GONE, instead: INSTEAD } = known.registries;

/** Where images of every version of Istio stay. */
export const LASTING_HUB: string = INSTEAD;

/** The hub of an image: what stands before its last name; `undefined` where there is nothing. */
export function hubOf(image: string | undefined): string | undefined {
  const slash = image?.lastIndexOf("/") ?? -1;
  return image && slash > 0 ? image.slice(0, slash) : undefined;
}

/** Whether a hub is of a registry that Istio gives up. */
export function isRetired(hub: string | undefined): boolean {
  return hub !== undefined && RETIRED.includes(hub.replace(/\/+$/, ""));
}

/** What becomes of it, as it is to be said on that day: `is switched off in …` or `was switched off …`. */
export function retirement(now: Date): string {
  return now < new Date(`${GONE}T00:00:00Z`)
    ? `is switched off in December 2026 and gone from ${GONE} on`
    : `was switched off in December 2026 and is gone since ${GONE}`;
}

/** A pod's pull policy for the mesh's images: the mesh's own, else what Kubernetes has for an image with a tag. */
export function pullPolicy(...values: (Values | undefined)[]): string {
  const read = (key: string) =>
    values.map((each) => fields(each?.global)[key]).find((value) => typeof value === "string" && value !== "");
  return (read("imagePullPolicy") as string | undefined) ?? (read("tag") === "latest" ? "Always" : "IfNotPresent");
}

/** What is known of where a component's images come from, before anything is written. */
export interface HubQuestion {
  /** The input: `auto`, or a hub. */
  readonly wanted: string;
  /** What the user's own values say. */
  readonly given: string | undefined;
  /** What the resource that is there says. */
  readonly applied: string | undefined;
  /** Where its images come from now, where it is there in the very version that is wanted and has no resource that says. */
  readonly running?: string | undefined;
  /** Whether it is there in that version: nothing is rolled for the sake of a registry. */
  readonly same: boolean;
  /** Where the installer would take them from, if nothing were said; `undefined`: not known. */
  readonly would: string | undefined;
  /** What is set where that is not known. */
  readonly fallback?: string | undefined;
  /** What to take in the place of a registry that goes, where not the one that stays. */
  readonly instead?: string | undefined;
}

export interface HubDecision {
  /** To be said in the values; `undefined`: nothing is said. */
  readonly hub?: string;
  readonly evidence: string;
  readonly warning?: string;
}

/** Where the images are to come from. */
export function decideHub(question: HubQuestion, now = new Date()): HubDecision {
  const { wanted, given, applied, running, same, would, fallback, instead = LASTING_HUB } = question;
  if (wanted !== "auto") return { hub: wanted, evidence: `Images come from ${wanted}, as \`image-hub\` says.` };
  if (given !== undefined) {
    const evidence = `Images come from ${given}, as the values say.`;
    if (!isRetired(given)) return { evidence };
    return {
      evidence,
      warning: `The values name ${given}, which ${retirement(now)}; ${LASTING_HUB} has the same images.`,
    };
  }
  if (same) {
    // What an earlier run has said is said again, or the field would go and the images with it.
    const from = applied ?? running;
    const hub = applied ?? (would !== undefined && running !== would ? running : undefined);
    const evidence = from
      ? `Images come from ${from}, as they do now: the version stays, and nothing is rolled for a registry's sake.`
      : "Images come from where they do now: the version stays, and nothing is rolled for a registry's sake.";
    return { ...(hub ? { hub } : {}), evidence };
  }
  const from = applied ?? would;
  if (isRetired(from)) {
    const evidence = `Images would come from ${from}, which ${retirement(now)}: ${instead} is set in its place. \`image-hub\` names another.`;
    return { hub: instead, evidence };
  }
  if (applied) return { hub: applied, evidence: `Images come from ${applied}, as the resource that is there says.` };
  if (would === undefined && fallback !== undefined) {
    return { hub: fallback, evidence: `Images come from ${fallback}, which has those of every version.` };
  }
  return {
    evidence: would
      ? `Images come from ${would}, as the installer has it.`
      : "From where the images come is not known before: the operator has no pins for this version, and the values name no hub.",
  };
}

/** `global.hub` of Helm values. */
export function hubIn(values: Values | undefined): string | undefined {
  const { hub } = fields(values?.global);
  return typeof hub === "string" && hub !== "" ? hub : undefined;
}
