import type { Scale } from "./scale.ts";
export function scaleChart(_: Scale): string { return ""; }
