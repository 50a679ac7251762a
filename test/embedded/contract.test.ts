import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { contract } from "./contract.ts";
import type { Access } from "./contract-client.ts";
import { startKube } from "./server.ts";

contract("embedded", async () => access((await startKube()).kubeconfig()), { tokens: false });

const real = process.env.CONTRACT_KUBECONFIG;
if (real) contract("real", async () => access(readFileSync(real, "utf8")), { tokens: true });

/** Of a kubeconfig with one cluster and one user, and everything in it. */
function access(kubeconfig: string): Access {
  const { clusters, users } = parse(kubeconfig);
  const { cluster } = clusters[0];
  const { user } = users[0];
  const pem = (data: string) => Buffer.from(data, "base64").toString("utf8");
  return {
    server: cluster.server,
    ca: pem(cluster["certificate-authority-data"]),
    ...(user.token
      ? { token: user.token }
      : { cert: pem(user["client-certificate-data"]), key: pem(user["client-key-data"]) }),
  };
}
