import type { TLSSocket } from "node:tls";
import type { Json } from "./kube.ts";
import type { Registry } from "./registry.ts";
import type { Resource } from "./resources.ts";
import { forbidden, notFound, StatusError } from "./status.ts";

export interface User {
  readonly name: string;
  readonly groups: readonly string[];
}

/** What a request wants; without `resource`, a path. */
export interface Attributes {
  readonly verb: string;
  readonly group?: string;
  readonly resource?: string;
  readonly subresource?: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly path?: string;
}

const RBAC = "rbac.authorization.k8s.io/v1";
const EVERYBODY = "system:authenticated";
const MASTERS = "system:masters";
/** What Kubernetes' own roles let every user do: find out about the API and about themselves. */
const EVERYBODYS_RULES: readonly Json[] = [
  {
    nonResourceURLs: [
      "/api",
      "/api/*",
      "/apis",
      "/apis/*",
      "/healthz",
      "/livez",
      "/openapi",
      "/openapi/*",
      "/readyz",
      "/version",
      "/version/",
    ],
    verbs: ["get"],
  },
  {
    apiGroups: ["authorization.k8s.io"],
    resources: ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
    verbs: ["create"],
  },
  { apiGroups: ["authentication.k8s.io"], resources: ["selfsubjectreviews"], verbs: ["create"] },
];

/** Who is there: client certificates of our authority, and known tokens. */
export class Authenticator {
  readonly #tokens = new Map<string, string>();
  readonly #revoked = new Set<string>();
  /** Whose certificate a connection began with. */
  readonly #certified = new WeakMap<TLSSocket, User>();

  setToken(token: string, user: string | undefined): void {
    if (user !== undefined) this.#tokens.set(token, user);
    else if (this.#tokens.delete(token)) this.#revoked.add(token);
  }

  /** Whether it was somebody's once. */
  wasRevoked(token: string): boolean {
    return this.#revoked.has(token) && !this.#tokens.has(token);
  }

  userOf(token: string): string | undefined {
    return this.#tokens.get(token);
  }

  /** @throws StatusError 401 */
  authenticate(socket: TLSSocket, authorization: string | undefined): User {
    if (authorization) {
      const name = this.#tokens.get(/^Bearer\s+(.+)$/i.exec(authorization)?.[1]?.trim() ?? "");
      if (name) return userNamed(name);
    } else if (socket.authorized) {
      const known = this.#certified.get(socket);
      if (known) return known;
      const { subject } = socket.getPeerCertificate();
      if (subject?.CN) {
        const groups = [subject.O ?? []].flat() as string[];
        const user = { name: String(subject.CN), groups: [...groups, EVERYBODY] };
        this.#certified.set(socket, user);
        return user;
      }
    }
    throw new StatusError(401, "Unauthorized", "Unauthorized");
  }
}

export function userNamed(name: string): User {
  const namespace = /^system:serviceaccount:([^:]+):[^:]+$/.exec(name)?.[1];
  const groups = namespace ? ["system:serviceaccounts", `system:serviceaccounts:${namespace}`, EVERYBODY] : [EVERYBODY];
  return { name, groups };
}

/** Role-based access control over the roles and bindings of a registry. */
export class Authorizer {
  readonly #registry: Registry;

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  isAdmin(user: User): boolean {
    return user.groups.includes(MASTERS);
  }

  allowed(user: User, wanted: Attributes): boolean {
    if (this.isAdmin(user)) return true;
    return this.rulesOf(user, wanted.namespace).some((rule) => grants(rule, wanted));
  }

  /** @throws StatusError 403 */
  check(user: User, wanted: Attributes): void {
    if (this.allowed(user, wanted)) return;
    const { verb, group = "", resource, subresource, namespace, name = "", path } = wanted;
    if (resource === undefined) {
      throw new StatusError(403, "Forbidden", `forbidden: User "${user.name}" cannot ${verb} path "${path}"`, {});
    }
    const what = subresource ? `${resource}/${subresource}` : resource;
    const where = namespace ? `in the namespace "${namespace}"` : "at the cluster scope";
    throw forbidden(
      { group, plural: resource },
      name,
      `User "${user.name}" cannot ${verb} resource "${what}" in API group "${group}" ${where}`,
    );
  }

  /** The rules that hold for a user in a namespace, or cluster-wide. */
  rulesOf(user: User, namespace: string | undefined): Json[] {
    const bindings = [
      ...this.#list("ClusterRoleBinding"),
      ...(namespace ? this.#list("RoleBinding", namespace) : []),
    ].filter(({ subjects, metadata }) =>
      (subjects ?? []).some((subject: Json) => isSubject(subject, user, metadata.namespace)),
    );
    return [
      ...EVERYBODYS_RULES,
      ...bindings.flatMap(({ roleRef, metadata }) => this.#rules(roleRef, metadata.namespace) ?? []),
    ];
  }

  /**
   * Nobody may grant what they do not have: checked on each write of a role or a binding.
   * @throws StatusError 403, and 404 where the bound role does not exist
   */
  checkEscalation(user: User, resource: Resource, object: Json, live: Json | undefined): void {
    if (resource.group !== "rbac.authorization.k8s.io" || this.isAdmin(user)) return;
    const { namespace } = object.metadata;
    const where = namespace ? { namespace } : {};
    const { group, plural } = resource;
    const binding = object.roleRef !== undefined;
    if (live && (binding ? same(live.subjects, object.subjects) : same(live.rules, object.rules))) return;
    if (binding) {
      const { kind, name } = object.roleRef;
      const plural = kind === "Role" ? "roles" : "clusterroles";
      if (this.allowed(user, { verb: "bind", group, resource: plural, name, ...where })) return;
      const rules = this.#rules(object.roleRef, namespace);
      // The role's name, but the binding's resource: so it is in real ones.
      if (!rules) throw notFound(resource, name);
      this.#checkHeld(user, resource, object, rules);
    } else if (
      !this.allowed(user, { verb: "escalate", group, resource: plural, name: object.metadata.name, ...where })
    ) {
      this.#checkHeld(user, resource, object, object.rules ?? []);
    }
  }

  #checkHeld(user: User, resource: Resource, { metadata }: Json, rules: Json[]): void {
    const held = this.rulesOf(user, metadata.namespace);
    const missing = rules.flatMap(single).filter((one) => !held.some((rule) => covers(rule, one)));
    if (missing.length === 0) return;
    const list = (values: readonly string[]) => `[${values.map((value) => JSON.stringify(value)).join(" ")}]`;
    const lines = missing.map(({ apiGroups, resources, nonResourceURLs, verbs }) =>
      nonResourceURLs
        ? `{NonResourceURLs:${list(nonResourceURLs)}, Verbs:${list(verbs)}}`
        : `{APIGroups:${list(apiGroups)}, Resources:${list(resources)}, Verbs:${list(verbs)}}`,
    );
    throw forbidden(
      resource,
      metadata.name,
      `user ${JSON.stringify(user.name)} (groups=${list(user.groups)}) is attempting to grant RBAC permissions not currently held:\n${lines.join("\n")}`,
    );
  }

  /** A role's rules, or `undefined` where there is no such role. */
  #rules({ kind, name }: Json, namespace: string | undefined): Json[] | undefined {
    const role = this.#list(kind, kind === "Role" ? namespace : undefined).find(
      ({ metadata }) => metadata.name === name,
    );
    const selectors: Json[] | undefined = role?.aggregationRule?.clusterRoleSelectors;
    if (!selectors) return role && (role.rules ?? []);
    // A controller would fill such a role; nothing is gained by waiting for one.
    const matches = (labels: Json) =>
      selectors.some(({ matchLabels = {} }) =>
        Object.entries(matchLabels).every(([key, value]) => labels?.[key] === value),
      );
    return this.#list("ClusterRole")
      .filter((other) => other !== role && matches(other.metadata.labels))
      .flatMap(({ rules }) => rules ?? []);
  }

  #list(kind: string, namespace?: string): Json[] {
    const resource = this.#registry.store.resources.byKind(RBAC, kind);
    return resource ? this.#registry.store.list(resource, namespace) : [];
  }
}

const same = (a: unknown, b: unknown) => JSON.stringify(a ?? []) === JSON.stringify(b ?? []);

function isSubject({ kind, name, namespace }: Json, user: User, bindingNamespace: string | undefined): boolean {
  if (kind === "User") return name === user.name;
  if (kind === "Group") return user.groups.includes(name);
  return user.name === `system:serviceaccount:${namespace ?? bindingNamespace}:${name}`;
}

function grants(rule: Json, { verb, group = "", resource, subresource, name, path = "" }: Attributes): boolean {
  if (!has(rule.verbs, verb)) return false;
  if (resource === undefined) return (rule.nonResourceURLs ?? []).some((url: string) => matchesPath(url, path));
  return (
    has(rule.apiGroups, group) &&
    hasResource(rule.resources, subresource ? `${resource}/${subresource}` : resource) &&
    (!rule.resourceNames?.length || rule.resourceNames.includes(name))
  );
}

const has = (values: readonly string[] | undefined, value: string) =>
  values !== undefined && (values.includes("*") || values.includes(value));

function hasResource(resources: readonly string[] | undefined, wanted: string): boolean {
  if (has(resources, wanted)) return true;
  const slash = wanted.indexOf("/");
  return slash > 0 && resources?.includes(`*${wanted.slice(slash)}`) === true;
}

function matchesPath(pattern: string, path: string): boolean {
  return pattern === "*" || pattern === path || (pattern.endsWith("*") && path.startsWith(pattern.slice(0, -1)));
}

/** A rule as rules of one verb, group and resource each. */
function single(rule: Json): Json[] {
  const { verbs = [], apiGroups = [], resources = [], nonResourceURLs, resourceNames } = rule;
  if (nonResourceURLs?.length) {
    return verbs.flatMap((verb: string) =>
      nonResourceURLs.map((url: string) => ({ verbs: [verb], nonResourceURLs: [url] })),
    );
  }
  return verbs.flatMap((verb: string) =>
    apiGroups.flatMap((group: string) =>
      resources.map((resource: string) => ({
        verbs: [verb],
        apiGroups: [group],
        resources: [resource],
        resourceNames,
      })),
    ),
  );
}

function covers(rule: Json, one: Json): boolean {
  if (!has(rule.verbs, one.verbs[0])) return false;
  if (one.nonResourceURLs)
    return (rule.nonResourceURLs ?? []).some((url: string) => matchesPath(url, one.nonResourceURLs[0]));
  return (
    has(rule.apiGroups, one.apiGroups[0]) &&
    hasResource(rule.resources, one.resources[0]) &&
    (!rule.resourceNames?.length ||
      (one.resourceNames?.length > 0 && one.resourceNames.every((n: string) => rule.resourceNames.includes(n))))
  );
}
