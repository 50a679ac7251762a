import { randomBytes } from "node:crypto";
import { type Attributes, type Authenticator, type Authorizer, type User, userNamed } from "./auth.ts";
import type { Json } from "./kube.ts";

/** The answer to a review: the same object with its status. */
export function review(kind: string, object: Json, user: User, who: Authenticator, may: Authorizer): Json {
  const { spec = {} } = object;
  const answer = (status: Json) => ({ ...object, metadata: { ...object.metadata, creationTimestamp: null }, status });
  switch (kind) {
    case "SelfSubjectAccessReview":
      return answer({ allowed: may.allowed(user, attributes(spec)) });
    case "SubjectAccessReview": {
      const of = { name: spec.user ?? "", groups: spec.groups ?? [] };
      return answer({ allowed: may.allowed(of, attributes(spec)) });
    }
    case "SelfSubjectRulesReview": {
      const rules = may.isAdmin(user)
        ? [
            { apiGroups: ["*"], resources: ["*"], verbs: ["*"] },
            { nonResourceURLs: ["*"], verbs: ["*"] },
          ]
        : may.rulesOf(user, spec.namespace);
      return answer({
        resourceRules: rules.filter((rule) => rule.resources),
        nonResourceRules: rules.filter((rule) => rule.nonResourceURLs),
        incomplete: false,
      });
    }
    case "TokenReview": {
      const token = spec.token ?? "";
      const name = who.userOf(token);
      if (!name) {
        const why = who.wasRevoked(token) ? "Token has been invalidated" : "token lookup failed";
        // As all that is false or empty, `authenticated` is left out.
        return answer({ user: {}, error: `[invalid bearer token, ${why}]` });
      }
      const { groups } = userNamed(name);
      return answer({ authenticated: true, user: { username: name, groups } });
    }
    default:
      return answer({ userInfo: { username: user.name, groups: user.groups } });
  }
}

function attributes({ resourceAttributes, nonResourceAttributes }: Json): Attributes {
  if (!resourceAttributes) return { verb: nonResourceAttributes?.verb ?? "", path: nonResourceAttributes?.path ?? "" };
  const { verb = "", group = "", resource = "", subresource, namespace, name } = resourceAttributes;
  return {
    verb,
    group,
    resource,
    ...(subresource ? { subresource } : {}),
    ...(namespace ? { namespace } : {}),
    ...(name ? { name } : {}),
  };
}

/**
 * A token for a service account, in the form of the real ones; what it says cannot be verified.
 * @param bound what it stands and falls with
 */
export function serviceAccountToken(namespace: string, name: string, expires: Date, bound: Json): string {
  const part = (value: Json) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const seconds = (date: Date) => Math.floor(date.getTime() / 1000);
  const claims = {
    iss: "https://kubernetes.default.svc",
    sub: `system:serviceaccount:${namespace}:${name}`,
    iat: seconds(new Date()),
    exp: seconds(expires),
    "kubernetes.io": { namespace, ...bound },
  };
  return [part({ alg: "none" }), part(claims), randomBytes(24).toString("base64url")].join(".");
}
