import { expect, test } from "vitest";
import { isDnsLabel, labelFor } from "../../../src/mesh/objects/names.ts";
import { remoteSecretName } from "../../../src/mesh/objects/secrets.ts";

const LONG = "a".repeat(63);

test.each(["east", "prod.eu", "prod-eu", "Kubernetes", "kubernetes", "gke_proj_zone", "gke-proj-zone", LONG])(
  "%s goes into a name that Kubernetes takes",
  (cluster) => {
    const name = labelFor("probe-", cluster);
    expect(isDnsLabel(name), name).toBe(true);
    if (isDnsLabel(`probe-${cluster}`)) expect(name).toBe(`probe-${cluster}`);
    expect(remoteSecretName(cluster)).toMatch(
      /^istio-remote-secret-[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/,
    );
  },
);

test("and into one of its own", () => {
  const alike = ["prod.eu", "prod_eu", "prod-eu", "Prod-eu", `${LONG.slice(1)}.`, `${LONG.slice(1)}_`];
  for (const name of [(each: string) => labelFor("probe-", each), remoteSecretName])
    expect(new Set(alike.map(name)).size).toBe(alike.length);
});

test("a remote secret's name is istioctl's where that can be", () => {
  expect(["east", "prod.eu", LONG].map(remoteSecretName)).toEqual(
    ["east", "prod.eu", LONG].map((each) => `istio-remote-secret-${each}`),
  );
});
