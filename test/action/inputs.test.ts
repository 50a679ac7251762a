import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { stringify } from "yaml";
import type { Command } from "../../src/action/inputs.ts";
import { base64, type Made, selfSigned } from "../cluster/certificates.ts";
import { CANARY, good, kubeconfig, problems, read } from "./source.ts";

const folder = mkdtempSync(join(tmpdir(), "inputs-"));
afterAll(() => rmSync(folder, { recursive: true }));

const file = (name: string, content: string) => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};

let valid: Made;
let expired: Made;
let early: Made;
beforeAll(async () => {
  [valid, expired, early] = await Promise.all([
    selfSigned(),
    selfSigned({ from: -30, to: -2 }),
    selfSigned({ from: 2, to: 30 }),
  ]);
});

const entry = (n: number, more: Record<string, unknown> = {}) => ({
  name: `c${n}`,
  network: `n${n}`,
  kubeconfig: kubeconfig({ server: `https://10.0.0.${n}:6443` }),
  ...more,
});
const list = (...entries: unknown[]) => ({ clusters: stringify(entries) });
const without = (n: number, key: string) =>
  Object.fromEntries(Object.entries(entry(n)).filter(([each]) => each !== key));

describe("good inputs", () => {
  test("two clusters and the defaults of action.yml", async () => {
    const { masked, kubeconfigs, ...inputs } = await read(good);
    expect(inputs).toEqual({
      command: "install" satisfies Command,
      verify: true,
      prune: false,
      gone: [],
      traffic: true,
      services: [],
      failOn: "unknown",
      uninstallScope: "mesh",
      failOnChange: false,
      timeout: 600_000,
      root: undefined,
      istioctl: { mirror: "https://github.com/istio/istio/releases/download" },
      helm: { mirror: "https://get.helm.sh" },
      mesh: {
        id: "mesh1",
        namespace: "istio-system",
        istioResource: "default",
        installer: "sail",
        trust: { mode: "auto" },
        readerRole: "auto",
        imageHub: "auto",
        gateway: { install: true, replicas: 1, service: { type: "LoadBalancer", annotations: {} } },
        clusters: [
          { name: "cluster1", network: "network1", values: {} },
          { name: "cluster2", network: "network2", values: {} },
        ],
      },
    });
    expect([...kubeconfigs.keys()]).toEqual(["cluster1", "cluster2"]);
    expect(kubeconfigs.get("cluster2")?.server).toBe("https://10.0.0.2:6443");
    expect(masked).toContain(`${CANARY}-token`);
  });

  test("what policies ask of the probe", async () => {
    const probe = { labels: { team: "mesh" }, annotations: { "example.com/owner": "Mesh Team" } };
    expect(await read({ ...good, probe: stringify(probe) })).toMatchObject({ mesh: { probe } });
    expect(await read({ ...good, probe: stringify({ labels: { team: "mesh" } }) })).toMatchObject({
      mesh: { probe: { labels: { team: "mesh" }, annotations: {} } },
    });
  });

  test("Services of one's own", async () => {
    expect(await read({ ...good, services: "[apps/web, apps/api:8080]" })).toMatchObject({
      services: [
        { namespace: "apps", name: "web" },
        { namespace: "apps", name: "api", port: 8080 },
      ],
    });
    const services = stringify(["apps/web", { service: "apps/api:8080", request: "/healthz?full=1" }]);
    expect(await read({ ...good, services })).toMatchObject({
      services: [
        { namespace: "apps", name: "web" },
        { namespace: "apps", name: "api", port: 8080, request: "/healthz?full=1" },
      ],
    });
  });

  test("a plan that fails where it has changes", async () => {
    expect(await read({ ...good, command: "plan", "fail-on-change": "true" })).toMatchObject({
      command: "plan",
      failOnChange: true,
    });
  });

  test("base64, in one line or wrapped", async () => {
    const { kubeconfigs } = await read({
      "cluster1-kubeconfig": base64(good["cluster1-kubeconfig"]),
      "cluster2-kubeconfig": base64(good["cluster2-kubeconfig"]).replace(/.{76}/g, "$&\n"),
    });
    expect([...kubeconfigs.values()].map(({ server }) => server)).toEqual([
      "https://10.0.0.1:6443",
      "https://10.0.0.2:6443",
    ]);
  });

  test("a list of clusters, each with its kubeconfig from elsewhere", async () => {
    const path = file("kubeconfig", kubeconfig({ server: "https://10.0.0.3:6443" }));
    const { mesh, kubeconfigs } = await read(
      {
        ...list(
          entry(1, { context: "other", "api-server": "https://api.example:443/", "tls-server-name": "api.example" }),
          { name: "c2", network: "n2", "kubeconfig-env": "KC2", values: { pilot: { autoscaleEnabled: false } } },
          { name: "c3", network: "n3", "kubeconfig-file": path },
        ),
        values: "pilot: {autoscaleEnabled: true, env: {A: '1'}}",
      },
      { KC2: base64(kubeconfig({ server: "https://10.0.0.2:6443" })) },
    );
    expect(mesh.clusters).toEqual([
      {
        name: "c1",
        network: "n1",
        apiServer: "https://api.example:443",
        tlsServerName: "api.example",
        values: { pilot: { autoscaleEnabled: true, env: { A: "1" } } },
      },
      { name: "c2", network: "n2", values: { pilot: { autoscaleEnabled: false, env: { A: "1" } } } },
      { name: "c3", network: "n3", values: { pilot: { autoscaleEnabled: true, env: { A: "1" } } } },
    ]);
    expect([...kubeconfigs].map(([name, { server, context }]) => [name, server, context])).toEqual([
      ["c1", "https://10.0.0.1:6443", "other"],
      ["c2", "https://10.0.0.2:6443", "prod"],
      ["c3", "https://10.0.0.3:6443", "prod"],
    ]);
  });

  test("one cluster, to uninstall from", async () => {
    const uninstall = { command: "uninstall", "uninstall-scope": "all", "gone-clusters": "c1, c_2" };
    const { mesh, uninstallScope, gone } = await read({ ...list(entry(3)), ...uninstall });
    expect(gone).toEqual(["c1", "c_2"]);
    expect(mesh.clusters.map(({ name }) => name)).toEqual(["c3"]);
    expect(uninstallScope).toBe("all");
  });

  test.each<[string, Record<string, string>, object]>([
    ["a leading v", { "istio-version": "v1.30.3" }, { istioVersion: "1.30.3" }],
    ["control planes that may go back", { "allow-downgrade": "true" }, { allowDowngrade: true }],
    [
      "some Services exposed",
      { exposure: "selected", "exposed-services": "[shop, bank/ledger]" },
      { exposed: [{ namespace: "shop" }, { namespace: "bank", name: "ledger" }] },
    ],
    ["none exposed", { exposure: "none" }, { exposed: [] }],
    ["control planes that live alone", { adopt: "true" }, { adopt: true }],
    ["a pre-release", { "istio-version": "1.31.0-rc.1" }, { istioVersion: "1.31.0-rc.1" }],
    ["a revision", { "istio-resource": "canary" }, { istioResource: "canary" }],
    ["tokens that expire", { "token-ttl": "720h" }, { tokenTtl: 2_592_000 }],
    ["a reader role", { "reader-role": "view" }, { readerRole: "view" }],
    ["istioctl in the operator's place", { installer: "istioctl" }, { installer: "istioctl" }],
    [
      "an operator to install, by the matrix",
      { "install-operator": "true", "istio-version": "1.26.3" },
      { operator: { version: "1.28.3", chart: expect.stringContaining("/<version>/sail-operator-<version>.tgz") } },
    ],
    [
      "an operator to install, of a version that what runs decides on",
      { "install-operator": "true", "operator-chart": "oci://r.example/sail-operator" },
      { operator: { chart: "oci://r.example/sail-operator" } },
    ],
    [
      "an operator to install, by name",
      { "install-operator": "true", "operator-version": "v1.27.3", "operator-chart": "oci://r.example/sail-operator" },
      { operator: { version: "1.27.3", chart: "oci://r.example/sail-operator" } },
    ],
    ["only connecting", { installer: "existing" }, { installer: "existing" }],
    ["no gateway", { gateway: "install: false" }, { gateway: expect.objectContaining({ install: false }) }],
    [
      "gateway options",
      {
        gateway:
          "{service: {type: NodePort, annotations: {traffic.istio.io/nodeSelector: '{}'}}, replicas: 3, resources: {limits: {cpu: 1}}}",
      },
      {
        gateway: {
          install: true,
          replicas: 3,
          resources: { limits: { cpu: 1 } },
          service: { type: "NodePort", annotations: { "traffic.istio.io/nodeSelector": "{}" } },
        },
      },
    ],
    [
      "the gateway's pods",
      {
        gateway:
          "{nodeSelector: {a: b}, tolerations: [{key: a}], affinity: {nodeAffinity: {}}, topologySpreadConstraints: [{maxSkew: 1}], podLabels: {c: d}, podAnnotations: {e: f}, securityContext: {sysctls: []}}",
      },
      {
        gateway: {
          nodeSelector: { a: "b" },
          tolerations: [{ key: "a" }],
          affinity: { nodeAffinity: {} },
          topologySpreadConstraints: [{ maxSkew: 1 }],
          podLabels: { c: "d" },
          podAnnotations: { e: "f" },
          securityContext: { sysctls: [] },
        },
      },
    ],
    [
      "a registry of one's own",
      { "image-hub": "registry.example:5000/istio/" },
      { imageHub: "registry.example:5000/istio" },
    ],
    [
      "the CNI plugin's settings",
      { cni: "{namespace: kube-system, values: {cni: {cniConfDir: /etc/cni/multus/net.d}}}" },
      { cni: { namespace: "kube-system", values: { cni: { cniConfDir: "/etc/cni/multus/net.d" } } } },
    ],
    [
      "a reader's role instead of the chart's",
      { values: "global: {enableReaderRBAC: false}", "reader-role": "mine" },
      { readerRole: "mine" },
    ],
    ["values that are comments only", { values: "# nothing yet" }, { id: "mesh1" }],
    ["the identity said once more", { values: "global: {meshID: mesh1}" }, { id: "mesh1" }],
  ])("%s", async (_, given, mesh) => {
    expect((await read({ ...good, ...given })).mesh).toMatchObject(mesh);
  });

  test.each<[string, number]>([
    ["90s", 90_000],
    ["1h30m", 5_400_000],
  ])("timeout %s", async (timeout, milliseconds) => {
    expect((await read({ ...good, timeout })).timeout).toBe(milliseconds);
  });

  test("a root CA, its key masked line by line or as a whole", async () => {
    const { root, masked } = await read({
      ...good,
      ca: "provided",
      "ca-root-cert": valid.certificate,
      "ca-root-key": valid.key,
    });
    expect(root?.certificate.trim()).toBe(valid.certificate.trim());
    expect(masked).toContain(valid.key.trim());
  });

  test("a change of the root that is led", async () => {
    const given = { ca: "provided", "ca-root-cert": valid.certificate, "ca-root-key": valid.key };
    const { mesh } = await read({ ...good, ...given, "trust-transition": "true" });
    expect(mesh.trust).toEqual({ mode: "provided", transition: true });
    expect((await read({ ...good, ...given })).mesh.trust).toEqual({ mode: "provided" });
    const restarting = await read({ ...good, ...given, "trust-transition": "true", "restart-workloads": "shop, apps" });
    expect(restarting.mesh.trust).toEqual({ mode: "provided", transition: true, restart: ["shop", "apps"] });
  });

  test("64 clusters that share their values by a YAML anchor", async () => {
    const clusters = Array.from({ length: 64 }, (_, i) => {
      const fields = JSON.stringify(entry(i + 1)).slice(1, -1);
      return `- {${fields}, "values": ${i === 0 ? '&common {"pilot": {"replicaCount": 2}}' : "*common"}}`;
    });
    const { mesh } = await read({ clusters: clusters.join("\n") });
    expect(mesh.clusters).toHaveLength(64);
    expect(mesh.clusters[63]?.values).toEqual({ pilot: { replicaCount: 2 } });
  });

  test("one server for two clusters that a proxy tells by the TLS server name", async () => {
    const behind = (name: string) =>
      kubeconfig({ server: "https://proxy.example", cluster: { "tls-server-name": `${name}.proxy.example` } });
    expect(await problems({ "cluster1-kubeconfig": behind("a"), "cluster2-kubeconfig": behind("b") })).toEqual([]);
  });
});

test("names are what Istio takes for them", async () => {
  const names = { "cluster1-name": "Kubernetes", "cluster2-name": "gke_proj.eu_2", "cluster1-network": "net_1" };
  expect(await problems({ ...good, ...names })).toEqual([]);
});

const FORK =
  "The usual cause is a secret that is not available: its name is misspelled, or the run is for a pull request from a fork, which gets no secrets.";
const NAME = "expected letters, digits, `-`, `_` and `.`, at most 63.";
const LABEL = "expected a DNS label: lower-case letters, digits and `-`, at most 63.";
const SERVICE = "`service.annotations`";

/** Inputs and all the problems that they give. `good` is set where a row does not set it otherwise. */
type Row = [name: string, given: Record<string, string> | (() => Record<string, string>), expected: string[]];

const bad: Row[] = [
  // Kubeconfigs that are missing.
  [
    "no kubeconfig at all",
    { "cluster1-kubeconfig": "", "cluster2-kubeconfig": "  " },
    [
      `\`cluster1-kubeconfig\` is empty; expected the content of a kubeconfig, or in \`cluster1-context\` a context that \`kubeconfig\` or this runner's KUBECONFIG has. ${FORK}`,
      `\`cluster2-kubeconfig\` is empty; expected the content of a kubeconfig, or in \`cluster2-context\` a context that \`kubeconfig\` or this runner's KUBECONFIG has. ${FORK}`,
    ],
  ],
  [
    "an empty kubeconfig in the list",
    list(entry(1), entry(2, { kubeconfig: "" })),
    [`\`clusters[1].kubeconfig\` is empty; expected the content of a kubeconfig. ${FORK}`],
  ],
  [
    "an environment variable that is not set",
    list(entry(1), { name: "c2", network: "n2", "kubeconfig-env": "KC2" }),
    [
      `\`clusters[1].kubeconfig-env\` names the variable "KC2", which is empty or not set; expected the content of a kubeconfig. ${FORK}`,
    ],
  ],
  [
    "a file that is not there",
    list(entry(1), { name: "c2", network: "n2", "kubeconfig-file": "/no/such/file" }),
    [
      '`clusters[1].kubeconfig-file` names the file "/no/such/file", which cannot be read (ENOENT); expected the path of a kubeconfig.',
    ],
  ],
  [
    "an empty file",
    () => list(entry(1), { name: "c2", network: "n2", "kubeconfig-file": file("empty", "\n") }),
    [
      `\`clusters[1].kubeconfig-file\` names the file "${join(folder, "empty")}", which is empty; expected the content of a kubeconfig. ${FORK}`,
    ],
  ],
  [
    "a kubeconfig where its variable's or file's name belongs",
    list(
      { name: "c1", network: "n1", "kubeconfig-env": kubeconfig() },
      { name: "c2", network: "n2", "kubeconfig-file": base64(kubeconfig()) },
    ),
    [
      `\`clusters[0].kubeconfig-env\` names the variable (not shown, for it looks like no name), which is empty or not set; expected the content of a kubeconfig. ${FORK}`,
      "`clusters[1].kubeconfig-file` names the file (not shown, for it looks like no name), which cannot be read (ENAMETOOLONG); expected the path of a kubeconfig.",
    ],
  ],
  [
    "none of the three, and two of them",
    list(without(1, "kubeconfig"), entry(2, { "kubeconfig-env": "KC2" })),
    [
      "`clusters[0]` has no kubeconfig; expected exactly one of `kubeconfig`, `kubeconfig-env`, `kubeconfig-file`, or a `context` that the input `kubeconfig` or this runner's KUBECONFIG has.",
      "`clusters[1]` has `kubeconfig` and `kubeconfig-env`; expected exactly one of `kubeconfig`, `kubeconfig-env`, `kubeconfig-file`.",
    ],
  ],

  // Kubeconfigs that are none.
  [
    "not YAML",
    { "cluster1-kubeconfig": `clusters:\n  a: b: ${CANARY}` },
    [
      "`cluster1-kubeconfig` is not valid YAML (line 2: block as implicit key); expected a kubeconfig, plain or base64.",
    ],
  ],
  [
    "a token instead of a kubeconfig",
    { "cluster1-kubeconfig": `${CANARY}${CANARY}` },
    ["`cluster1-kubeconfig` is no YAML mapping; expected a kubeconfig, plain or base64."],
  ],
  [
    "another YAML",
    { "cluster1-kubeconfig": `secret: ${CANARY}` },
    ["`cluster1-kubeconfig` has no lists `clusters` and `contexts`; expected a kubeconfig, plain or base64."],
  ],
  [
    "a YAML bomb",
    {
      "cluster1-kubeconfig":
        "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c,*c]",
    },
    [
      "`cluster1-kubeconfig` uses its YAML anchors too often, or one that it lacks; expected a kubeconfig, plain or base64.",
    ],
  ],
  [
    "a YAML anchor in itself",
    { "cluster1-kubeconfig": "clusters: &a [*a]\ncontexts: []" },
    ["`cluster1-kubeconfig` has a YAML anchor that contains itself; expected a kubeconfig, plain or base64."],
  ],

  // Kubeconfigs that do not fit.
  [
    "a context that is missing",
    { "cluster1-context": "dev" },
    ['`cluster1-kubeconfig` has no context "dev"; expected one of: "prod", "other", "half", "nobody".'],
  ],
  [
    "no current-context",
    { "cluster2-kubeconfig": JSON.stringify({ contexts: [{ name: "a" }], clusters: [], users: [] }) },
    ['`cluster2-kubeconfig` has no current-context; expected the name of one of its contexts: "a".'],
  ],
  [
    "a context whose cluster, or user, is missing",
    { "cluster1-context": "half", "cluster2-context": "nobody" },
    [
      '`cluster1-kubeconfig` names in its context "half" a cluster that it does not hold.',
      '`cluster2-kubeconfig` names in its context "nobody" a user that it does not hold.',
    ],
  ],
  [
    "servers that cannot be used",
    list(
      entry(1, { kubeconfig: kubeconfig({ server: "http://10.0.0.1:8080" }) }),
      entry(2, { kubeconfig: kubeconfig({ server: "10.0.0.2" }) }),
      entry(3, { kubeconfig: kubeconfig({ server: `https://me:${CANARY}@10.0.0.3` }) }),
    ),
    [
      '`clusters[0].kubeconfig` has in its context "prod" a server with http://; expected an https URL.',
      '`clusters[1].kubeconfig` has in its context "prod" a server that is no URL; expected an https URL.',
      '`clusters[2].kubeconfig` has in its context "prod" a server URL with a user or password; expected one without.',
    ],
  ],
  [
    "client certificates that cannot be used",
    () => {
      const user = (made: Made) => ({
        "client-certificate-data": base64(made.certificate),
        "client-key-data": base64(made.key),
      });
      return list(
        entry(1, { kubeconfig: kubeconfig({ user: user(expired) }) }),
        entry(2, { kubeconfig: kubeconfig({ user: user(early) }) }),
        entry(3, { kubeconfig: kubeconfig({ user: { ...user(valid), "client-certificate-data": base64(CANARY) } }) }),
        entry(4, { kubeconfig: kubeconfig({ user: { "client-certificate-data": base64(valid.certificate) } }) }),
      );
    },
    [
      '`clusters[0].kubeconfig` has in its context "prod" a client certificate that expired on <time>; make a new kubeconfig.',
      '`clusters[1].kubeconfig` has in its context "prod" a client certificate that is not valid before <time>; check the runner\'s clock.',
      '`clusters[2].kubeconfig` has in its context "prod" a client certificate that cannot be read; expected a PEM certificate, in base64 where it is embedded.',
      '`clusters[3].kubeconfig` has in its context "prod" a client certificate without its key; expected both.',
    ],
  ],
  [
    "an exec plugin that is not there",
    {
      "cluster1-kubeconfig": kubeconfig({
        user: { exec: { apiVersion: "client.authentication.k8s.io/v1", command: "no-such-plugin", args: [CANARY] } },
      }),
    },
    [
      '`cluster1-kubeconfig` has in its context "prod" a login by the program "no-such-plugin", which is not on this runner\'s PATH; install it in a step before this one.',
    ],
  ],
  [
    "files that only the author has",
    {
      "cluster1-kubeconfig": kubeconfig({ cluster: { "certificate-authority": "/home/me/ca.crt" } }),
      "cluster2-kubeconfig": kubeconfig({ user: { tokenFile: "/home/me/token" } }),
    },
    [
      '`cluster1-kubeconfig` has in its context "prod" a certificate-authority file that this runner does not have; expected the data itself (kubectl config view --raw --flatten --minify).',
      '`cluster2-kubeconfig` has in its context "prod" a tokenFile file that this runner does not have; expected the data itself (kubectl config view --raw --flatten --minify).',
    ],
  ],
  [
    "entries that the client library refuses",
    { "cluster1-kubeconfig": kubeconfig({ user: { "token-file": tmpdir() } }) },
    [
      '`cluster1-kubeconfig` has in its context "prod" entries that cannot be used; expected a kubeconfig as kubectl writes it.',
    ],
  ],

  // The list of clusters.
  ["one cluster", list(entry(1)), ["`clusters` has one entry; expected at least two clusters."]],
  [
    "no cluster to uninstall",
    { clusters: "[]", command: "uninstall" },
    ["`clusters` has no entry; expected at least one cluster."],
  ],
  ["no cluster", { clusters: "[]" }, ["`clusters` has no entry; expected at least two clusters."]],
  ["clusters that are no list", { clusters: "c1: {}" }, ["`clusters` is a mapping; expected a list."]],
  ["clusters that are text", { clusters: CANARY }, ["`clusters` is text; expected a list."]],
  ["a list of comments", { clusters: "# none" }, ["`clusters` is empty; expected a list."]],
  [
    "clusters that are not YAML",
    { clusters: `- name: c1\n  token: "${CANARY}` },
    ["`clusters` is not valid YAML (line 2: missing char)."],
  ],
  [
    "both forms",
    { ...list(entry(1), entry(2)), "cluster1-kubeconfig": kubeconfig() },
    ["`cluster1-kubeconfig` is set beside `clusters`; use one or the other."],
  ],
  [
    "unknown, missing and wrong keys, beside a bad kubeconfig",
    list(
      { ...without(1, "network"), "kube-config": CANARY, colour: "red" },
      entry(2, { name: 7, values: ["a"], "api-server": null }),
      "c3",
      entry(4, { kubeconfig: `a: ${CANARY}` }),
      entry(5, { name: "" }),
    ),
    [
      "`clusters[0].network` is missing.",
      '`clusters[0]` has the unknown keys "kube-config", "colour"; known are: name, network, kubeconfig, kubeconfig-env, kubeconfig-file, context, api-server, tls-server-name, values.',
      "`clusters[1].name` is 7; expected text (in quotes, if it looks like something else).",
      "`clusters[1].api-server` is empty; expected text (in quotes, if it looks like something else).",
      "`clusters[1].values` is a list; expected a mapping.",
      "`clusters[2]` is text; expected a mapping.",
      "`clusters[3].kubeconfig` has no lists `clusters` and `contexts`; expected a kubeconfig, plain or base64.",
      `\`clusters[4].name\` is empty; ${NAME}`,
    ],
  ],

  // Names.
  [
    "the same name and API server twice; a network may be that of several",
    list(entry(1), entry(1)),
    [
      '`clusters[1].name` is "c1", the same as `clusters[0].name`; expected one of its own for every cluster.',
      "`clusters[1].kubeconfig` leads to the same API server as `clusters[0].kubeconfig`; expected one of its own for every cluster.",
    ],
  ],
  [
    "only the name twice",
    { "cluster2-name": "cluster1" },
    ['`cluster2-name` is "cluster1", the same as `cluster1-name`; expected one of its own for every cluster.'],
  ],
  [
    "only the kubeconfig twice",
    { "cluster2-kubeconfig": good["cluster1-kubeconfig"] },
    [
      "`cluster2-kubeconfig` leads to the same API server as `cluster1-kubeconfig`; expected one of its own for every cluster.",
    ],
  ],
  [
    "names that Istio does not take",
    {
      "cluster1-name": "-East",
      "cluster2-name": "a".repeat(64),
      "cluster1-network": "net 1",
      "cluster2-network": "net/2",
      "istio-namespace": "-istio",
      "istio-resource": "",
    },
    [
      `\`istio-namespace\` is "-istio"; ${LABEL}`,
      `\`istio-resource\` is empty; ${LABEL}`,
      `\`cluster1-name\` is "-East"; ${NAME}`,
      `\`cluster1-network\` is "net 1"; ${NAME}`,
      `\`cluster2-name\` is "${"a".repeat(60)}…"; ${NAME}`,
      `\`cluster2-network\` is "net/2"; ${NAME}`,
    ],
  ],

  // API servers.
  [
    "API servers that the others cannot reach",
    { "cluster1-api-server": "https://127.0.0.1:6443", "cluster2-api-server": "https://[::1]:6443" },
    [
      '`cluster1-api-server` is "https://127.0.0.1:6443", which every cluster takes for itself; expected an address that the other clusters reach.',
      '`cluster2-api-server` is "https://[::1]:6443", which every cluster takes for itself; expected an address that the other clusters reach.',
    ],
  ],
  [
    "API servers that are no https URL",
    { "cluster1-api-server": "10.0.0.1:6443", "cluster2-api-server": `https://me:${CANARY}@10.0.0.2` },
    [
      '`cluster1-api-server` is "10.0.0.1:6443"; expected an https URL.',
      '`cluster2-api-server` is "https://10.0.0.2" with a user or password; expected a URL without one.',
    ],
  ],

  // The rest.
  ["a flag that is neither", { verify: "yes" }, ['`verify` is "yes"; expected one of: true, false.']],
  [
    "an unknown fail-on-change",
    { command: "plan", "fail-on-change": "yes" },
    ['`fail-on-change` is "yes"; expected one of: true, false.'],
  ],
  [
    "labels of the probe that Kubernetes does not take",
    { probe: stringify({ labels: { team: "the mesh", "a b": "c" }, annotations: { "/x": "any text" } }) },
    [
      '`probe.labels.team` is "the mesh"; expected a label\'s value.',
      '`probe.labels` has the key "a b"; expected one that Kubernetes takes.',
      '`probe.annotations` has the key "/x"; expected one that Kubernetes takes.',
    ],
  ],
  [
    "another key for the probe",
    { probe: "image: busybox" },
    ['`probe` has the unknown key "image"; known are: labels, annotations.'],
  ],
  [
    "services that are none",
    { services: stringify(["web", "apps/web:0", "Apps/web", "apps/web:80", "apps/web:80", 7]) },
    [
      '`services[0]` is "web"; expected `namespace/name` or `namespace/name:port`.',
      '`services[1]` is "apps/web:0"; expected `namespace/name` or `namespace/name:port`.',
      '`services[2]` is "Apps/web"; expected `namespace/name` or `namespace/name:port`.',
      '`services[4]` is "apps/web:80", which is there already; leave one out.',
      "`services[5]` is 7; expected text (in quotes, if it looks like something else).",
    ],
  ],
  [
    "services with requests that are none",
    {
      services: stringify([
        "apps/web",
        { service: "apps/web", request: "/" },
        { service: "apps/api", request: "healthz" },
        { service: "apps/one", request: "/a b" },
        { service: "apps/two", request: "/a#b" },
        { service: "apps/more", request: "/a%zz" },
        { request: "/" },
        { service: "apps/three", path: "/" },
      ]),
    },
    [
      '`services[1].service` is "apps/web", which is there already; leave one out.',
      '`services[2].request` is "healthz"; expected a path such as /healthz.',
      '`services[3].request` is "/a b"; expected a path such as /healthz.',
      '`services[4].request` is "/a#b"; expected a path such as /healthz.',
      '`services[5].request` is "/a%zz"; expected a path such as /healthz.',
      "`services[6].service` is missing.",
      '`services[7]` has the unknown key "path"; known are: service, request.',
    ],
  ],
  [
    "too many services",
    { services: stringify(Array.from({ length: 51 }, (_, i) => `apps/web${i}`)) },
    ["`services` has 51 entries; expected 50 at most."],
  ],
  [
    "fail-on-change without a plan",
    { "fail-on-change": "true" },
    ["`fail-on-change` has an effect with `command: plan` only; leave it out, or set the command to plan."],
  ],
  [
    "workloads that are to be restarted for nothing",
    { "restart-workloads": "shop" },
    ["`restart-workloads` has an effect with `trust-transition: true` only; leave it out, or set that."],
  ],
  [
    "a change of the root to none",
    { "trust-transition": "true" },
    ["`trust-transition` has an effect with `ca: provided` only; leave it out, or set `ca` to provided."],
  ],
  [
    "services to expose that are none",
    { exposure: "selected", "exposed-services": "[Shop, a/b/c]" },
    [
      '`exposed-services[0]` is "Shop"; expected `namespace` or `namespace/name`.',
      '`exposed-services[1]` is "a/b/c"; expected `namespace` or `namespace/name`.',
    ],
  ],
  [
    "no services to expose",
    { exposure: "selected" },
    ["`exposed-services` is empty, and `exposure: selected` takes a list; give one, or use `exposure: none`."],
  ],
  [
    "services to expose that are not asked for",
    { "exposed-services": "[shop]" },
    ["`exposed-services` has an effect with `exposure: selected` only; leave it out, or set that."],
  ],
  [
    "an exposure of another kind",
    { exposure: "some" },
    ['`exposure` is "some"; expected one of: all, selected, none.'],
  ],
  [
    "allow-downgrade that is neither",
    { "allow-downgrade": "1.31" },
    ['`allow-downgrade` is "1.31"; expected one of: true, false.'],
  ],
  [
    "gone-clusters where nothing is taken out",
    { "gone-clusters": "east" },
    ["`gone-clusters` has an effect with `command: uninstall` only; leave it out, or set the command to uninstall."],
  ],
  ["prune that is neither", { prune: "all" }, ['`prune` is "all"; expected one of: true, false.']],
  ["an unknown fail-on", { "fail-on": "always" }, ['`fail-on` is "always"; expected one of: failed, unknown, never.']],
  [
    "an unknown scope",
    { "uninstall-scope": "everything" },
    ['`uninstall-scope` is "everything"; expected one of: mesh, all.'],
  ],
  [
    "an unknown command",
    { command: "destroy" },
    ['`command` is "destroy"; expected one of: install, verify, plan, rotate, uninstall, diagnose.'],
  ],
  [
    "an unknown installer",
    { installer: "helm" },
    ['`installer` is "helm"; expected one of: sail, istioctl, existing.'],
  ],
  [
    "versions that are not whole",
    { "istio-version": "1.26" },
    ['`istio-version` is "1.26"; expected a full version such as 1.26.3.'],
  ],
  [
    "a duration without a unit",
    { timeout: "600" },
    ['`timeout` is "600"; expected a duration such as 90s, 10m or 1h30m.'],
  ],
  [
    "tokens of a time that is none",
    { "token-ttl": "30d" },
    ['`token-ttl` is "30d"; expected a duration such as 24h or 720h.'],
  ],
  [
    "tokens of too short a time",
    { "token-ttl": "9m59s" },
    ['`token-ttl` is "9m59s"; expected at least 10m, which Kubernetes wants.'],
  ],
  ["no time at all", { timeout: "0s" }, ['`timeout` is "0s"; expected a duration such as 90s, 10m or 1h30m.']],
  [
    "a mesh ID that is no label's value",
    { "mesh-id": "my mesh" },
    ['`mesh-id` is "my mesh"; expected letters, digits, `-`, `_` and `.`, at most 63.'],
  ],
  [
    "an operator where none is used",
    { "install-operator": "true", installer: "istioctl" },
    ["`install-operator` is true, but `installer: istioctl` uses no operator; leave it out."],
  ],
  [
    "an operator that does not install the version",
    { "install-operator": "true", "operator-version": "v1.30.3", "istio-version": "1.26.3" },
    [
      '`operator-version` is "1.30.3", which installs Istio 1.28.0 to 1.28.10, 1.29.0 to 1.29.6, 1.30.0 to 1.30.3, not 1.26.3; operators 1.26.3 to 1.28.3 do.',
    ],
  ],
  [
    "an Istio that no operator is known for",
    { "install-operator": "true", "istio-version": "1.20.0" },
    [
      "`operator-version` is empty, and no Sail Operator is known that installs Istio 1.20.0; name one that does, see https://github.com/istio-ecosystem/sail-operator/releases.",
    ],
  ],
  [
    "an operator's version that is none",
    { "install-operator": "true", "operator-version": "latest" },
    ['`operator-version` is "latest"; expected a full version such as 1.28.3.'],
  ],
  [
    "a chart that is an option",
    { "install-operator": "true", "operator-chart": "--post-renderer=x" },
    ['`operator-chart` is "--post-renderer=x"; expected a path, a URL or a chart\'s name.'],
  ],
  [
    "a chart with a password, which a command line would show",
    { "install-operator": "true", "operator-chart": `https://me:${CANARY}@charts.example/x.tgz` },
    ["`operator-chart` holds a user or password, which a command line would show; log in with Helm beforehand."],
  ],
  [
    "a mirror that is no URL",
    { "istioctl-mirror": `ftp://me:${CANARY}@mirror.example` },
    ['`istioctl-mirror` is "ftp://mirror.example"; expected an http or https URL.'],
  ],
  ["an unknown trust", { ca: "vault" }, ['`ca` is "vault"; expected one of: auto, existing, provided, generate.']],

  // Values.
  ["values that are a list", { values: "[a]" }, ["`values` is a list; expected a mapping."]],
  ["values that are text", { values: CANARY }, ["`values` is text; expected a mapping."]],
  ["values that are not YAML", { values: "a: [" }, ["`values` is not valid YAML (line 1: bad indent)."]],
  ["values in themselves", { values: "a: &a {b: *a}" }, ["`values` has a YAML anchor that contains itself."]],
  [
    "values that override the mesh's identity",
    { values: "global: {meshID: mesh2, network: network1, multiCluster: {clusterName: cluster1}}" },
    [
      "`values` sets `global.meshID`, `global.network`, `global.multiCluster.clusterName` to something else than `mesh-id` and the cluster's name and network say; leave it out.",
    ],
  ],
  [
    "a cluster's own values that do",
    list(entry(1, { values: { global: { network: "other" } } }), entry(2, { values: { global: "all" } })),
    [
      "`clusters[0].values` sets `global.network` to something else than `mesh-id` and the cluster's name and network say; leave it out.",
      "`clusters[1].values` sets `global` to something else than `mesh-id` and the cluster's name and network say; leave it out.",
    ],
  ],
  [
    "values for control planes that are left alone",
    { ...list(entry(1, { values: { a: 1 } }), entry(2)), installer: "existing", values: "a: 1" },
    [
      "`values` has no effect with `installer: existing`, which leaves the control planes alone; leave it out.",
      "`clusters[0].values` has no effect with `installer: existing`, which leaves the control planes alone; leave it out.",
    ],
  ],

  // The gateway.
  [
    "unknown and wrong keys of the gateway",
    {
      gateway:
        "{instal: false, replicas: 0, service: {type: ClusterIP, annotation: {}, annotations: {a: 1}}, resources: [1]}",
    },
    [
      '`gateway.service.type` is "ClusterIP"; expected one of: LoadBalancer, NodePort.',
      "`gateway.service.annotations.a` is 1; expected text (in quotes, if it looks like something else).",
      '`gateway.service` has the unknown key "annotation"; known are: type, annotations, labels, loadBalancerClass.',
      "`gateway.replicas` is 0; expected a whole number from 1 to 100.",
      "`gateway.resources` is a list; expected a mapping.",
      '`gateway` has the unknown key "instal"; known are: install, service, replicas, resources, nodeSelector, tolerations, affinity, topologySpreadConstraints, podLabels, podAnnotations, securityContext.',
    ],
  ],
  [
    "half a replica",
    { gateway: "replicas: 1.5" },
    ["`gateway.replicas` is 1.5; expected a whole number from 1 to 100."],
  ],
  [
    "replicas in words",
    { gateway: "replicas: two" },
    ["`gateway.replicas` is text; expected a whole number from 1 to 100."],
  ],
  [
    "labels and annotations of the gateway's pods that are ours",
    {
      gateway:
        "{podLabels: {app: mine, istio.io/rev: canary, x: y}, podAnnotations: {sidecar.istio.io/inject: 'false'}, service: {labels: {app: mine, cost: a}}}",
    },
    [
      "`gateway.podLabels` sets app, istio.io/rev, which this action sets itself; leave it out.",
      "`gateway.podAnnotations` sets sidecar.istio.io/inject, which this action sets itself; leave it out.",
      "`gateway.service.labels` sets app, which this action sets itself; leave it out.",
    ],
  ],
  [
    "values that take the reader's account and role away",
    { values: "global: {readerServiceAccount: other, enableReaderRBAC: false}" },
    [
      "`values` set global.readerServiceAccount, so that the chart makes no istio-reader-service-account, whose token the other clusters read by; leave it out, and name the account's role by `reader-role`.",
      "`values` say global.enableReaderRBAC: false, so that the chart gives the reader no role; leave it out, or name the ClusterRole that it is to have by `reader-role`.",
    ],
  ],
  [
    "a hub that is none",
    { "image-hub": "https://registry.example" },
    ['`image-hub` is "https://registry.example"; expected `auto` or a registry and a path, such as docker.io/istio.'],
  ],
  [
    "two hubs",
    { "image-hub": "a.example", values: "global: {hub: b.example}" },
    ['`image-hub` is "a.example", but the values say global.hub "b.example"; leave one of them out.'],
  ],
  [
    "a hub and a CNI plugin for control planes that are left alone",
    { "image-hub": "a.example", cni: "{namespace: Kube}", installer: "existing" },
    [
      "`image-hub` has no effect with `installer: existing`, which leaves the control planes alone; leave it out.",
      "`cni` has no effect with `installer: existing`, which leaves the CNI plugin alone; leave it out.",
      '`cni.namespace` is "Kube"; expected a DNS label: lower-case letters, digits and `-`, at most 63.',
    ],
  ],
  ["install in words", { gateway: "install: 'no'" }, ["`gateway.install` is text; expected true or false."]],
  ["a gateway that is a list", { gateway: "[]" }, ["`gateway` is a list; expected a mapping."]],
  [
    "NodePort without the nodes",
    { gateway: "service: {type: NodePort}" },
    [
      `\`gateway\` has service type NodePort without the annotation traffic.istio.io/nodeSelector, by which istiod finds the nodes' addresses; add it to ${SERVICE}.`,
    ],
  ],

  // Trust.
  [
    "nothing provided",
    { ca: "provided" },
    [`\`ca-root-cert\` is empty; \`ca: provided\` expects it and \`ca-root-key\`. ${FORK}`],
  ],
  [
    "a certificate without its key",
    () => ({ "ca-root-cert": valid.certificate }),
    [`\`ca-root-key\` is empty, though \`ca-root-cert\` is given; expected its private key. ${FORK}`],
  ],
  [
    "a key without its certificate",
    () => ({ "ca-root-key": valid.key }),
    ["`ca-root-cert` is empty, though `ca-root-key` is given; expected its certificate."],
  ],
  [
    "a root that is not used",
    () => ({ ca: "generate", "ca-root-cert": valid.certificate, "ca-root-key": valid.key }),
    ["`ca` is generate, which does not use `ca-root-cert` and `ca-root-key`; leave them out, or choose provided."],
  ],
  [
    "a root for control planes that are left alone",
    { ca: "generate", installer: "existing" },
    [
      "`ca` is generate, but `installer: existing` leaves the control planes and their root of trust alone; choose existing or auto.",
    ],
  ],
];

/** The rows' inputs: beside the list there are no numbered kubeconfigs. */
function inputsOf(given: Row[1]): Record<string, string> {
  const own = typeof given === "function" ? given() : given;
  return own.clusters === undefined ? { ...good, ...own } : own;
}

describe("bad inputs", () => {
  test.each(bad)("%s", async (_, given, expected) => {
    const found = await problems(inputsOf(given));
    const TIME = /\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC/g;
    expect(found.map((problem) => problem.replace(TIME, "<time>"))).toEqual(expected);
  });

  test("a root's key that is not the certificate's", async () => {
    const [problem, ...more] = await problems({
      ...good,
      "ca-root-cert": valid.certificate,
      "ca-root-key": expired.key,
    });
    expect(more).toEqual([]);
    expect(problem).toMatch(/^`ca-root-cert` and `ca-root-key` cannot be used: .+[^.]\.$/);
  });

  test("all of them at once", async () => {
    // Every input but those that belong to the list; each problem is about another one.
    const found = await problems({
      command: "x",
      installer: "x",
      "mesh-id": "x x",
      "istio-version": "x",
      "istio-namespace": "X",
      "istio-resource": "X",
      timeout: "x",
      "istioctl-mirror": "x",
      values: "x",
      gateway: "x",
      ca: "x",
      "ca-root-cert": "x",
      "cluster1-name": "x x",
      "cluster2-network": "x x",
      "cluster1-kubeconfig": "",
      "cluster2-kubeconfig": "x",
      "cluster1-api-server": "x",
      "cluster2-api-server": "https://localhost",
    });
    expect(found.map((problem) => /^`([^`]*)`/.exec(problem)?.[1]).sort()).toEqual([
      "ca",
      "ca-root-key",
      "cluster1-api-server",
      "cluster1-kubeconfig",
      "cluster1-name",
      "cluster2-api-server",
      "cluster2-kubeconfig",
      "cluster2-network",
      "command",
      "gateway",
      "installer",
      "istio-namespace",
      "istio-resource",
      "istio-version",
      "istioctl-mirror",
      "mesh-id",
      "timeout",
      "values",
    ]);
  });

  test.each(bad)("is told in good form and without a secret: %s", async (_, given) => {
    const found = await problems(inputsOf(given));
    expect(found).not.toEqual([]);
    for (const problem of found) {
      expect(problem).toMatch(/^`[a-z0-9-]+(\[\d+\])?[\w.-]*` (?!:)[a-z].*[^.!?,;:\s]\.$/);
      expect(problem.replace(/"[^"]*"/g, "X")).not.toMatch(/\s[,;:.]|[,;:.][,;:]|\.\.|\n|undefined|\[object/);
      expect(problem.length).toBeLessThan(400);
      expect(problem).not.toContain(CANARY);
      for (const part of [valid.key, expired.key, early.key, base64(kubeconfig())]) {
        expect(problem).not.toContain(part.slice(30, 60));
      }
    }
  });

  test("the error as a whole tells all problems, and that nothing was changed", async () => {
    const error = await read({ ...good, command: "x", ca: "x" }).catch((error: unknown) => error);
    expect(error).toMatchObject({
      name: "InputError",
      hint: "Nothing was changed.",
      message: expect.stringMatching(/^The inputs cannot be used:\n- `command` .*\n- `ca` .*$/),
    });
  });
});
