import { main } from "./action/run.ts";

await main();
// What nobody waits for any more, such as a download after the deadline, must not hold the job up.
process.stdout.write("", () => process.exit());
