import { randomBytes } from "node:crypto";
import { clone } from "../clone.ts";
import type { Json, Kube } from "../kube.ts";
import { encode, ensure, on } from "./support.ts";

const TYPE = "kubernetes.io/service-account-token";
const ACCOUNT = "kubernetes.io/service-account.name";

/** Every namespace's account `default` and root CA, and the tokens of accounts that are asked for by a Secret. */
export function tokens(kube: Kube): void {
  on(kube, "v1", "Namespace", ({ type, object: { metadata } }) => {
    if (type === "DELETED" || metadata.deletionTimestamp) return;
    const account = { apiVersion: "v1", kind: "ServiceAccount", namespace: metadata.name, name: "default" };
    const { namespace, name, ...kind } = account;
    if (!kube.get(account)) kube.put({ ...kind, metadata: { name, namespace } });
    const rootCa = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "kube-root-ca.crt", namespace } };
    ensure(kube, { ...rootCa, data: { "ca.crt": kube.ca } });
  });
  on(kube, "v1", "ServiceAccount", ({ type, object: { metadata } }) => {
    for (const secret of kube.list("v1", "Secret", metadata.namespace)) {
      if (secret.type !== TYPE || secret.metadata.annotations?.[ACCOUNT] !== metadata.name) continue;
      if (type !== "DELETED") fill(kube, secret);
      else kube.delete({ apiVersion: "v1", kind: "Secret", namespace: metadata.namespace, name: secret.metadata.name });
    }
  });
  /** What each Secret's token was, for a Secret that is gone or was emptied. */
  const given = new Map<string, string>();
  on(kube, "v1", "Secret", ({ type, object }) => {
    if (object.type !== TYPE) return;
    const { uid } = object.metadata;
    const token = object.data?.token && Buffer.from(object.data.token, "base64").toString();
    const old = given.get(uid);
    if (old && (type === "DELETED" || old !== token)) {
      given.delete(uid);
      kube.setToken(old, undefined);
    }
    if (type === "DELETED") return;
    if (token) given.set(uid, token);
    else fill(kube, object);
  });
}

function fill(kube: Kube, seen: Json): void {
  const { namespace, name } = seen.metadata;
  const secret = clone(kube.get({ apiVersion: "v1", kind: "Secret", namespace, name }));
  const accountName = secret?.metadata.annotations?.[ACCOUNT];
  if (!accountName || secret.metadata.uid !== seen.metadata.uid || secret.data?.token) return;
  const account = kube.get({ apiVersion: "v1", kind: "ServiceAccount", namespace, name: accountName });
  // The real controller would delete such a Secret; it is filled when the account comes.
  if (!account) return;
  const user = `system:serviceaccount:${namespace}:${accountName}`;
  const token = newToken(user, name);
  kube.setToken(token, user);
  secret.metadata.annotations["kubernetes.io/service-account.uid"] = account.metadata.uid;
  secret.data = { ...secret.data, "ca.crt": encode(kube.ca), namespace: encode(namespace), token: encode(token) };
  kube.put(secret);
}

/** In the shape of a JWT, for what tells secrets by their look; the signature is noise. */
function newToken(sub: string, secret: string): string {
  const part = (value: Json) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const claims = { iss: "kubernetes/serviceaccount", "kubernetes.io/serviceaccount/secret.name": secret, sub };
  return `${part({ alg: "RS256", kid: "embedded" })}.${part(claims)}.${randomBytes(64).toString("base64url")}`;
}
