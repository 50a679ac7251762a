/** A line of the agent's own log: `2026-11-30T18:18:05.882404Z<TAB>warn<TAB>OS CA Cert could not be found for agent`. */
const LOG_LINE = /^(?:\d{4}-\d\d-\d\dT\S+Z\t(?:debug|info|warn|error|fatal)\t.*(?:\n|$))+/;

/** What `pilot-agent request` prints of an answer: without what the agent says itself before it, as of an image without CA certificates. */
export function answerIn(stdout: string): string {
  return stdout.replace(LOG_LINE, "");
}
