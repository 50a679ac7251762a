import { main } from "./action/run.ts";

await main();
