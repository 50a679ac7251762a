// Ways to break a mesh, each with the way to mend it, and what a verification must say of it.
import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { stringify } from "yaml";
import type { CheckId } from "../../src/mesh/catalogue.ts";
import { generateRoot, issueIntermediate } from "../../src/mesh/certificates/issue.ts";
import type { Subject } from "../../src/mesh/report.ts";
import type { Cluster, KubernetesObject } from "./cluster.ts";

const run = promisify(execFile);
const SYSTEM = "istio-system";
/** How the names of the Secrets begin that hold the reader's token. */
const READER_TOKEN = "istio-reader-service-account-istio-remote-secret-token";
const GATEWAY = "istio-eastwestgateway";

export interface Fault {
  readonly name: string;
  /** The checks that must fail by themselves; all others are green, or point to one of these. Empty: all stays green. */
  readonly expected: readonly { readonly id: CheckId; readonly subject?: Subject; readonly cause: RegExp }[];
  /** What is to be warned of, where nothing fails. */
  readonly warning?: RegExp;
  /** Why it cannot be made here, if so. */
  readonly impossible?: string | undefined;
  /** Breaks it; gives what mends it. */
  readonly make: () => Promise<() => Promise<unknown>>;
}

/** What only the one who made the clusters can give. */
export interface Hooks {
  /** Words before a command that is to run in the network of the broken cluster's node. */
  readonly nodeShell: readonly string[] | undefined;
  /** An image of istiod that is the mesh's own, under the tag of the next minor version. */
  readonly nextIstiod: string | undefined;
  /** Where the broken cluster's node runs on this machine: its processes are seen and can be stopped. */
  readonly nodePids: string | undefined;
}

/** The Envoy of a pod that runs on this machine, by what its environment says. */
function envoyOf(pod: string): number {
  const found = readdirSync("/proc").filter((entry) => {
    if (!/^\d+$/.test(entry)) return false;
    try {
      const [program = ""] = readFileSync(`/proc/${entry}/cmdline`, "utf8").split("\0");
      return program.endsWith("/envoy") && readFileSync(`/proc/${entry}/environ`, "utf8").includes(`POD_NAME=${pod}\0`);
    } catch {
      // It has ended meanwhile.
      return false;
    }
  });
  if (found.length !== 1) throw new Error(`${found.length} processes are the Envoy of ${pod}`);
  return Number(found[0]);
}

/** Drops what comes to a port of the node that the shell runs in; gives what opens it again. */
export async function block(nodeShell: readonly string[], port: number): Promise<() => Promise<unknown>> {
  const rule = ["PREROUTING", "-t", "raw", "-i", "eth0", "-p", "tcp", "--dport", String(port), "-j", "DROP"];
  const [command, ...words] = nodeShell as readonly [string, ...string[]];
  await run(command, [...words, "iptables", "-I", ...rule]);
  return () => run(command, [...words, "iptables", "-D", ...rule]);
}

/** The faults: `source` sees them, `target` has them. */
export function faults(source: Cluster, target: Cluster, all: readonly Cluster[], hooks: Hooks): Fault[] {
  const pair = { observer: source.name, target: target.name };
  const broken = { cluster: target.name };
  const secretName = `istio-remote-secret-${target.name}`;
  const kubectl = (cluster: Cluster, ...args: string[]) => cluster.kubectl(args);

  /** Removes an object; mended by putting it back as it was. */
  const remove = async (cluster: Cluster, kind: string, name: string, namespace = SYSTEM) => {
    const object = await cluster.get(kind, name, namespace);
    await kubectl(cluster, "delete", kind, name, "-n", namespace);
    return async () => {
      await kubectl(cluster, "delete", kind, name, "-n", namespace, "--ignore-not-found");
      await cluster.apply([plain(object)]);
    };
  };
  /** Replaces an object; mended by replacing it back. */
  const replace = async (cluster: Cluster, kind: string, name: string, change: (object: KubernetesObject) => void) => {
    const object = await cluster.get(kind, name);
    const changed = plain(structuredClone(object));
    change(changed);
    await cluster.kubectl(["replace", "-f", "-"], { input: stringify(changed) });
    return () => cluster.kubectl(["replace", "-f", "-"], { input: stringify(plain(object)) });
  };
  const rollout = async (cluster: Cluster, deployment: string) => {
    const limit = { timeoutMs: 130_000 };
    await cluster.kubectl(["rollout", "status", `deployment/${deployment}`, "-n", SYSTEM, "--timeout=120s"], limit);
    // The operator tells of a rollout a moment after the Deployment does: until then its word is of the one before.
    await cluster.kubectl(
      ["wait", "istios.sailoperator.io", "--all", "--for=condition=Ready", "--timeout=120s"],
      limit,
    );
  };
  const scale = async (deployment: string) => {
    await kubectl(target, "scale", "deployment", deployment, "-n", SYSTEM, "--replicas=0");
    await kubectl(target, "wait", "--for=delete", "pod", "-l", `app=${deployment}`, "-n", SYSTEM, "--timeout=60s");
    return async () => {
      await kubectl(target, "scale", "deployment", deployment, "-n", SYSTEM, "--replicas=1");
      await rollout(target, deployment);
    };
  };
  const restartIstiod = async (cluster: Cluster) => {
    await kubectl(cluster, "rollout", "restart", "deployment/istiod", "-n", SYSTEM);
    await rollout(cluster, "istiod");
    // The new istiod tells of its root once it has become the leader.
    const { data } = await cluster.get("secret", "cacerts");
    const told = async () => (await cluster.get("configmap", "istio-ca-root-cert")).data["root-cert.pem"];
    for (let i = 0; i < 120 && (await told()).trim() !== decode(data["root-cert.pem"]).trim(); i++) await delay(1_000);
  };
  const firewall = (port: number) => block(hooks.nodeShell as readonly string[], port);
  const withoutNode = hooks.nodePids ? undefined : "E2E_NODE_PIDS is not set, so nothing on the node can be stopped";
  /** Applies an object; mended by deleting it. */
  const put = async (cluster: Cluster, object: KubernetesObject) => {
    await cluster.apply([object]);
    const { kind, apiVersion, metadata } = object;
    const resource = `${kind.toLowerCase()}s.${apiVersion.split("/")[0]}`;
    return () => cluster.kubectl(["delete", resource, metadata.name, "-n", metadata.namespace]);
  };
  /** The ordered pairs that have to do with a cluster, from it and to it, or only one of both. */
  const requests = (cluster: Cluster, ...ways: ("from" | "to")[]) =>
    all
      .filter((each) => each !== cluster)
      .flatMap(({ name }) => [
        ...(ways.includes("from") ? [{ source: cluster.name, target: name }] : []),
        ...(ways.includes("to") ? [{ source: name, target: cluster.name }] : []),
      ]);
  const withoutShell = hooks.nodeShell ? undefined : "E2E_NODE_SHELL is not set, so no port can be blocked";

  return [
    {
      name: "a remote secret deleted",
      expected: [{ id: "remote.secret", subject: pair, cause: /There is no remote secret for/ }],
      make: () => remove(source, "secret", secretName),
    },
    {
      name: "a remote secret with a wrong server",
      expected: [{ id: "remote.kubeconfig", subject: pair, cause: /names the server https:\/\/\S+, which is none of/ }],
      make: () =>
        replace(source, "secret", secretName, (secret) => {
          const text = decode(secret.data[target.name]).replace(
            /server: https:\/\/\S+/,
            "server: https://192.0.2.1:6443",
          );
          secret.data[target.name] = encode(text);
        }),
    },
    {
      name: "a token revoked, by deleting its Secret in the target",
      expected: all
        .filter((each) => each !== target)
        .map(({ name }) => ({
          id: "remote.token" as const,
          subject: { observer: name, target: target.name },
          cause: /does not accept the token/,
        })),
      make: async () => {
        const secrets = await target.list("secrets", "-n", SYSTEM);
        const names = secrets.map(({ metadata }) => metadata.name as string);
        const name = names.find((each) => each.startsWith(READER_TOKEN)) ?? READER_TOKEN;
        const token = decode((await target.get("secret", name)).data.token);
        const mend = await remove(target, "secret", name);
        // An API server remembers for ten seconds whom it has let in.
        const review = { apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", spec: { token } };
        const accepted = async () =>
          JSON.parse(await target.kubectl(["create", "-f", "-", "-o", "json"], { input: stringify(review) })).status
            .authenticated;
        for (let i = 0; i < 60 && (await accepted()); i++) await delay(500);
        return mend;
      },
    },
    {
      name: "the reader's binding removed",
      expected: [{ id: "remote.reader", subject: broken, cause: /may not list services/ }],
      make: async () => {
        const bindings = (await target.list("clusterrolebindings")).filter(({ subjects = [] }: KubernetesObject) =>
          subjects.some(({ name }: KubernetesObject) => name === "istio-reader-service-account"),
        );
        const mends: (() => Promise<unknown>)[] = [];
        for (const { metadata } of bindings) mends.push(await remove(target, "clusterrolebinding", metadata.name));
        return () => Promise.all(mends.map((mend) => mend()));
      },
    },
    {
      name: "the gateway scaled to zero",
      expected: [{ id: "gateway.deployment", subject: broken, cause: /scaled to zero/ }],
      make: () => scale(GATEWAY),
    },
    {
      name: "the gateway's Service without an address",
      expected: [{ id: "gateway.address", subject: broken, cause: /has no address/ }],
      make: async () => {
        await kubectl(target, "patch", "service", GATEWAY, "-n", SYSTEM, "-p", '{"spec":{"type":"ClusterIP"}}');
        return async () => {
          await kubectl(target, "patch", "service", GATEWAY, "-n", SYSTEM, "-p", '{"spec":{"type":"LoadBalancer"}}');
          const address = "--for=jsonpath={.status.loadBalancer.ingress}";
          await kubectl(target, "wait", address, `service/${GATEWAY}`, "-n", SYSTEM, "--timeout=60s");
        };
      },
    },
    {
      name: "the exposure deleted",
      expected: [{ id: "gateway.exposure", subject: broken, cause: /No Gateway exposes the services/ }],
      make: () => remove(target, "gateways.networking.istio.io", "cross-network-gateway"),
    },
    {
      name: "the exposure on a wrong port",
      expected: [{ id: "gateway.exposure", subject: broken, cause: /listens on port 15444 instead of 15443/ }],
      make: () =>
        replace(target, "gateways.networking.istio.io", "cross-network-gateway", ({ spec }) => {
          spec.servers[0].port.number = 15444;
        }),
    },
    {
      name: "a wrong network label on the namespace",
      expected: [{ id: "control-plane.network", subject: broken, cause: /is labelled network elsewhere instead of/ }],
      make: async () => {
        const label = (value: string) =>
          kubectl(target, "label", "namespace", SYSTEM, `topology.istio.io/network=${value}`, "--overwrite");
        await label("elsewhere");
        return () => label(target.network);
      },
    },
    {
      name: "another root CA in one cluster",
      expected: [{ id: "trust.same-root", cause: /do not trust the same root/ }],
      make: async () => {
        const files = await issueIntermediate(await generateRoot(), target.name, SYSTEM);
        const mend = await replace(target, "secret", "cacerts", (secret) => {
          secret.data = Object.fromEntries(Object.entries(files).map(([name, text]) => [name, encode(text)]));
        });
        await restartIstiod(target);
        return async () => {
          await mend();
          await restartIstiod(target);
        };
      },
    },
    {
      name: "a second root before the own one in one cluster's bundle",
      expected: [],
      make: async () => {
        const { certificate } = await generateRoot();
        const mend = await replace(target, "secret", "cacerts", (secret) => {
          secret.data["root-cert.pem"] = encode(certificate + decode(secret.data["root-cert.pem"]));
        });
        await restartIstiod(target);
        return async () => {
          await mend();
          await restartIstiod(target);
        };
      },
    },
    {
      name: "a remote secret under a wrong cluster name",
      expected: [
        { id: "remote.secret", subject: pair, cause: /There is no remote secret for .* holds elsewhere instead/ },
        { id: "remote.strangers", subject: { cluster: source.name }, cause: /for elsewhere/ },
      ],
      make: async () => {
        const mend = await replace(source, "secret", secretName, (secret) => {
          secret.data = { elsewhere: secret.data[target.name] };
        });
        return async () => {
          await mend();
          // Seen with the Secret right again: an istiod that does not register the cluster any more until it is restarted.
          await restartIstiod(source);
        };
      },
    },
    {
      name: "two remote secrets for one cluster",
      expected: [{ id: "remote.secret", subject: pair, cause: /There are 2 remote secrets for/ }],
      make: async () => {
        const second = plain(await source.get("secret", secretName));
        second.metadata.name = "a-second-one";
        await source.apply([second]);
        return async () => {
          await kubectl(source, "delete", "secret", "a-second-one", "-n", SYSTEM);
          // Which of the two istiod had taken is chance; the other one it does not come back to by itself.
          await restartIstiod(source);
        };
      },
    },
    {
      name: "the own remote secret of a cluster beside the others",
      expected: [],
      make: async () => {
        await target.apply([plain(await source.get("secret", secretName))]);
        return () => kubectl(target, "delete", "secret", secretName, "-n", SYSTEM);
      },
    },
    {
      name: "istiod down",
      expected: [{ id: "control-plane.istiod", subject: broken, cause: /scaled to zero|not ready/ }],
      make: () => scale("istiod"),
    },
    {
      name: "an API server that cannot be reached",
      expected: [{ id: "cluster.api", subject: broken, cause: /cannot be reached/ }],
      impossible: withoutShell,
      make: () => firewall(6443),
    },
    {
      name: "injection off in the probe's way",
      expected: [{ id: "traffic.probe", subject: broken, cause: /Injection is off/ }],
      make: async () => {
        const [webhook] = (await target.list("mutatingwebhookconfigurations")).filter(
          ({ metadata }: KubernetesObject) => metadata.name.startsWith("istio-sidecar-injector"),
        );
        return remove(target, "mutatingwebhookconfiguration", webhook.metadata.name);
      },
    },
    {
      name: "port 15443 blocked on the way",
      expected: all
        .filter((each) => each !== target)
        .map(({ name }) => ({
          id: "pair.request" as const,
          subject: { source: name, target: target.name },
          cause: /does not take connections/,
        })),
      impossible: withoutShell,
      make: () => firewall(15443),
    },
    {
      name: "one of two gateway pods frozen",
      expected: requests(target, "to").map((subject) => ({
        id: "pair.request",
        subject,
        cause: /pod istio-eastwestgateway-\S+ .*it is stuck/,
      })),
      impossible: withoutNode,
      make: async () => {
        const scaled = (replicas: number) =>
          kubectl(target, "scale", "deployment", GATEWAY, "-n", SYSTEM, `--replicas=${replicas}`);
        await scaled(2);
        await rollout(target, GATEWAY);
        const [pod] = await target.list("pods", "-n", SYSTEM, "-l", `app=${GATEWAY}`);
        const envoy = envoyOf(pod.metadata.name);
        process.kill(envoy, "SIGSTOP");
        return async () => {
          process.kill(envoy, "SIGCONT");
          await scaled(1);
          await rollout(target, GATEWAY);
        };
      },
    },
    {
      name: "a workload that runs since before its cluster got its name",
      expected: [
        {
          id: "workloads.identity",
          subject: broken,
          cause: /\/before-1\) of cluster name Kubernetes under an istiod of /,
        },
      ],
      make: async () => {
        const [gateway] = await target.list("pods", "-n", SYSTEM, "-l", `app=${GATEWAY}`);
        const { spec } = structuredClone(gateway);
        const [proxy] = spec.containers;
        proxy.env.find(({ name }: { name: string }) => name === "ISTIO_META_CLUSTER_ID").value = "Kubernetes";
        const metadata = {
          name: "before-1",
          namespace: SYSTEM,
          labels: { "sidecar.istio.io/inject": "false" },
          annotations: { "istio.io/rev": gateway.metadata.annotations["istio.io/rev"] },
        };
        await target.apply([{ apiVersion: "v1", kind: "Pod", metadata, spec }]);
        return () => kubectl(target, "delete", "pod", "before-1", "-n", SYSTEM, "--grace-period=1");
      },
    },
    {
      name: "a DestinationRule that turns mTLS off for all",
      expected: requests(target, "from", "to").map((subject) => ({
        id: "pair.request",
        subject,
        cause: new RegExp(`^DestinationRule ${SYSTEM}/plain in ${target.name} sets tls.mode DISABLE for \\*.local`),
      })),
      make: () =>
        put(target, {
          apiVersion: "networking.istio.io/v1",
          kind: "DestinationRule",
          metadata: { name: "plain", namespace: SYSTEM },
          spec: { host: "*.local", trafficPolicy: { tls: { mode: "DISABLE" } } },
        }),
    },
    {
      name: "a gateway whose name does not resolve",
      expected: all
        .filter((each) => each !== target)
        .map(({ name }) => ({
          id: "remote.endpoints",
          subject: { observer: name, target: target.name },
          cause: /gateway\.invalid.*: its name does not resolve/,
        })),
      // Only there an annotation keeps the address as it is set.
      impossible: withoutNode,
      make: async () => {
        const { status } = await target.get("service", GATEWAY);
        const set = (ingress: object[]) =>
          kubectl(
            target,
            ...["patch", "service", GATEWAY, "-n", SYSTEM, "--subresource=status", "--type=merge"],
            ...["-p", JSON.stringify({ status: { loadBalancer: { ingress } } })],
          );
        await kubectl(target, "annotate", "service", GATEWAY, "-n", SYSTEM, "lab/no-address=true");
        await set([{ hostname: "gateway.invalid" }]);
        return async () => {
          await kubectl(target, "annotate", "service", GATEWAY, "-n", SYSTEM, "lab/no-address-");
          await set(status.loadBalancer.ingress);
        };
      },
    },
    {
      name: "a Sidecar that hides other namespaces from all workloads",
      expected: requests(source, "from").map((subject) => ({
        id: "pair.request",
        subject,
        cause: new RegExp(`^Sidecar ${SYSTEM}/default in ${source.name} hides other namespaces' Services`),
      })),
      make: () =>
        put(source, {
          apiVersion: "networking.istio.io/v1",
          kind: "Sidecar",
          metadata: { name: "default", namespace: SYSTEM },
          spec: { egress: [{ hosts: [`${SYSTEM}/*`] }] },
        }),
    },
    {
      name: "a VirtualService that aborts what is for all Services",
      expected: requests(source, "from").map((subject) => ({
        id: "pair.request",
        subject,
        cause: new RegExp(
          `^VirtualService ${SYSTEM}/abort in ${source.name} is for \\*.local and aborts every request`,
        ),
      })),
      make: () =>
        put(source, {
          apiVersion: "networking.istio.io/v1",
          kind: "VirtualService",
          metadata: { name: "abort", namespace: SYSTEM },
          spec: {
            hosts: ["*.local"],
            http: [
              {
                fault: { abort: { httpStatus: 503, percentage: { value: 100 } } },
                route: [{ destination: { host: `istiod.${SYSTEM}.svc.cluster.local` } }],
              },
            ],
          },
        }),
    },
    {
      name: "a DestinationRule that wants other names in certificates",
      expected: requests(source, "from").map((subject) => ({
        id: "pair.request",
        subject,
        cause: new RegExp(`^DestinationRule ${SYSTEM}/names in ${source.name} wants spiffe://elsewhere/ns/a/sa/b`),
      })),
      make: () =>
        put(source, {
          apiVersion: "networking.istio.io/v1",
          kind: "DestinationRule",
          metadata: { name: "names", namespace: SYSTEM },
          spec: {
            host: "*.local",
            trafficPolicy: { tls: { mode: "ISTIO_MUTUAL", subjectAltNames: ["spiffe://elsewhere/ns/a/sa/b"] } },
          },
        }),
    },
    {
      name: "STRICT mTLS everywhere",
      expected: [],
      make: async () => {
        const strict = {
          apiVersion: "security.istio.io/v1",
          kind: "PeerAuthentication",
          metadata: { name: "default", namespace: SYSTEM },
          spec: { mtls: { mode: "STRICT" } },
        };
        await Promise.all(all.map((cluster) => cluster.apply([strict])));
        return () =>
          Promise.all(all.map((cluster) => kubectl(cluster, "delete", "peerauthentication", "default", "-n", SYSTEM)));
      },
    },
    {
      name: "versions a minor apart",
      expected: [],
      warning: /versions differ/,
      impossible: hooks.nextIstiod ? undefined : "E2E_NEXT_ISTIOD is not set, so there is no other istiod to run",
      make: async () => {
        const { spec } = await target.get("deployment", "istiod");
        const set = async (image: string) => {
          await kubectl(target, "set", "image", "deployment/istiod", `discovery=${image}`, "-n", SYSTEM);
          await rollout(target, "istiod");
        };
        await set(hooks.nextIstiod as string);
        return () => set(spec.template.spec.containers[0].image);
      },
    },
  ];
}

const decode = (base64: string) => Buffer.from(base64, "base64").toString();
const encode = (text: string) => Buffer.from(text).toString("base64");

/** The object without what the API server adds. */
function plain(object: KubernetesObject): KubernetesObject {
  const { status: _, ...rest } = object;
  const {
    uid: _uid,
    resourceVersion: _version,
    creationTimestamp: _created,
    generation: _generation,
    managedFields: _managed,
    ...metadata
  } = object.metadata;
  return { ...rest, metadata };
}
