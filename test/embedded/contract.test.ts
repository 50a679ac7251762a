import { readFileSync } from "node:fs";
import { contract } from "./contract.ts";
import { access } from "./contract-client.ts";
import { startKube } from "./server.ts";

contract("embedded", async () => access((await startKube()).kubeconfig()), { tokens: false });

const real = process.env.CONTRACT_KUBECONFIG;
if (real) contract("real", async () => access(readFileSync(real, "utf8")), { tokens: true });
