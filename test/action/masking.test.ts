import { beforeAll, describe, expect, test } from "vitest";
import { mask } from "../../src/action/masking.ts";
import { base64, type Made, selfSigned } from "../cluster/certificates.ts";
import { good, kubeconfig, read } from "./source.ts";
import { stdout } from "./stdout.ts";

/** The values that the runner is told to mask for a user of the first kubeconfig; the second one's are left out. */
async function masked(user: Record<string, unknown>, given: Record<string, string> = {}): Promise<string[]> {
  const { masked } = await read({
    ...good,
    "cluster1-kubeconfig": kubeconfig({ server: "https://10.0.0.9", user }),
    "cluster2-kubeconfig": kubeconfig({ server: "https://10.0.0.8", user: { username: "me" } }),
    ...given,
  });
  const lines = await stdout(() => {
    for (const secret of masked) mask(secret);
  });
  return lines.map((line) => line.replace(/^::add-mask::/, ""));
}

let made: Made;
beforeAll(async () => {
  made = await selfSigned();
});

/** The lines of a PEM without its armour. */
const body = (pem: string) => pem.trim().split("\n").slice(1, -1);

describe("what is masked of a kubeconfig", () => {
  test.each<[string, Record<string, unknown>, string[]]>([
    ["a token", { token: "token-1234" }, ["token-1234"]],
    ["a token with a line break", { token: "token-1234\n" }, ["token-1234"]],
    ["a password, but not the user", { username: "administrator", password: "password-1234" }, ["password-1234"]],
    ["a token that YAML takes for a number", { token: 1234567890123 }, ["1234567890123"]],
    ["nothing so short that it occurs by chance", { username: "u", password: "v1" }, []],
    [
      "an auth provider's tokens and secrets",
      {
        "auth-provider": {
          name: "oidc",
          config: {
            "client-id": "kubernetes",
            "client-secret": "secret-1234",
            "id-token": "id-token-1234",
            "refresh-token": "refresh-1234",
            "idp-issuer-url": "https://issuer.example",
          },
        },
      },
      ["secret-1234", "id-token-1234", "refresh-1234"],
    ],
    [
      "an exec plugin's secret variables",
      {
        exec: {
          apiVersion: "client.authentication.k8s.io/v1beta1",
          command: process.execPath,
          args: ["eks", "get-token", "--cluster-name", "production", "--region", "eu-central-1"],
          env: [
            { name: "AWS_REGION", value: "eu-central-1" },
            { name: "AWS_PROFILE", value: "production" },
            { name: "AWS_ACCESS_KEY_ID", value: "AKIA12345678" },
            { name: "AWS_SECRET_ACCESS_KEY", value: "aws-secret-1234" },
            { name: "AWS_SESSION_TOKEN", value: "aws-session-1234" },
          ],
          installHint: "Install the plugin of your cloud",
        },
      },
      ["AKIA12345678", "aws-secret-1234", "aws-session-1234"],
    ],
    [
      "an exec plugin's secret arguments",
      {
        exec: {
          apiVersion: "client.authentication.k8s.io/v1",
          command: process.execPath,
          args: [
            "oidc-login",
            "get-token",
            "--oidc-issuer-url=https://issuer.example",
            "--oidc-client-id=kubernetes",
            "--oidc-client-secret=secret-1234",
            "--password",
            "password-1234",
            "--region",
            "eu-central-1",
          ],
        },
      },
      ["secret-1234", "password-1234"],
    ],
  ])("%s", async (_, user, expected) => {
    expect(await masked(user)).toEqual(expected);
  });

  test("a client key: as it is given, and each line of it, without the armour", async () => {
    const key = base64(made.key);
    const found = await masked({ "client-certificate-data": base64(made.certificate), "client-key-data": key });
    expect(found).toEqual([key, ...body(made.key).filter((line) => line.length >= 8)]);
  });

  test("nothing that every kubeconfig has", async () => {
    const found = await masked({ token: "token-1234" });
    for (const common of ["v1", "Config", "prod", "https://10.0.0.9", "apiVersion: v1", "c", "u"]) {
      expect(found).not.toContain(common);
    }
  });
});

test("a root's key is masked line by line, without the armour that every key has", async () => {
  const found = await masked({ username: "me" }, { "ca-root-cert": made.certificate, "ca-root-key": made.key });
  expect(found).toEqual(body(made.key).filter((line) => line.length >= 8));
});

test("the password of a mirror is masked", async () => {
  expect(
    await masked({ username: "me" }, { "istioctl-mirror": "https://me:password-1234@mirror.example/istio" }),
  ).toEqual(["password-1234"]);
});
