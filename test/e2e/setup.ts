import { settings } from "./settings.ts";

/** Says once, before any test file is loaded, what is not set. */
export default function setup(): void {
  settings();
}
