import { faults } from "./faults.ts";
import { SCENARIOS } from "./scenarios.ts";

await faults(SCENARIOS.again);
