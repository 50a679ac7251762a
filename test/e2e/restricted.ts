import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse, parseAllDocuments, stringify } from "yaml";
import { ROOT } from "../runner.ts";
import type { Cluster, KubernetesObject } from "./cluster.ts";

/** The roles that docs/SECURITY.md gives for a command, as they stand there. */
export function documentedRoles(section: string): KubernetesObject[] {
  const text = readFileSync(join(ROOT, "docs/SECURITY.md"), "utf8");
  const yaml = new RegExp(`<!-- ${section}: [^\\n]*-->\\s*\`\`\`yaml\\n([\\s\\S]*?)\`\`\``).exec(text)?.[1];
  if (!yaml) throw new Error(`docs/SECURITY.md has no roles for ${section}`);
  return parseAllDocuments(yaml).map((document) => document.toJS());
}

/** A kubeconfig of a user that has the documented rights for a command, and no other. */
export async function restrictedKubeconfig(cluster: Cluster, section: string): Promise<string> {
  const roles = documentedRoles(section);
  const name = `restricted-${section}`;
  const subjects = [{ kind: "ServiceAccount", name, namespace: name }];
  const bindings = roles.map(({ kind, metadata }) => ({
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: `${kind}Binding`,
    metadata: { ...metadata, name },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind, name },
    subjects,
  }));
  await cluster.apply([
    { apiVersion: "v1", kind: "Namespace", metadata: { name } },
    { apiVersion: "v1", kind: "ServiceAccount", metadata: { name, namespace: name } },
    ...roles.map((role) => ({ ...role, metadata: { ...role.metadata, name } })),
    ...bindings,
  ]);
  const token = await cluster.kubectl(["create", "token", name, "-n", name, "--duration=1h"]);
  const config = parse(cluster.kubeconfig);
  const user = { name, user: { token: token.trim() } };
  const [context] = config.contexts;
  return stringify({
    ...config,
    users: [user],
    contexts: [{ ...context, context: { ...context.context, user: name } }],
    "current-context": context.name,
  });
}

export async function removeRestricted(cluster: Cluster, section: string): Promise<void> {
  const name = `restricted-${section}`;
  for (const { kind, metadata } of documentedRoles(section)) {
    const where = metadata.namespace ? ["-n", metadata.namespace] : [];
    await cluster.kubectl(["delete", `${kind}Binding`, name, ...where, "--ignore-not-found"]);
    await cluster.kubectl(["delete", kind, name, ...where, "--ignore-not-found"]);
  }
  await cluster.kubectl(["delete", "namespace", name, "--ignore-not-found", "--wait=false"]);
}
