// What the embedded API of the offline tests does, a real API server must do too.
import { readFileSync } from "node:fs";
import { contract } from "../embedded/contract.ts";
import { access } from "../embedded/contract-client.ts";
import { settings } from "./settings.ts";

contract("real", async () => access(readFileSync(settings().kubeconfigs[0]!, "utf8")), { tokens: true });
