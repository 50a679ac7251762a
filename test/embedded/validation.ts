import { isDeepStrictEqual } from "node:util";
import type { Json } from "./kube.ts";
import type { Resource } from "./resources.ts";
import { type Cause, invalid } from "./status.ts";

const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;

const required = (field: string, detail = ""): Cause => ({
  reason: "FieldValueRequired",
  message: `Required value${detail ? `: ${detail}` : ""}`,
  field,
});
const wrong = (field: string, value: unknown, detail: string): Cause => ({
  reason: "FieldValueInvalid",
  message: `Invalid value: ${JSON.stringify(value)}: ${detail}`,
  field,
});

/** @throws StatusError 422 where the object is not one that the API server stores */
export function validate(resource: Resource, object: Json, live: Json | undefined): void {
  const causes = [
    ...metadata(resource, object),
    ...(resource.schema ? schema(resource.schema, object) : known(resource, object, live)),
  ];
  if (causes.length > 0) throw invalid(resource, object.metadata.name ?? "", causes);
}

function metadata({ kind, group }: Resource, { metadata: { name, labels } }: Json): Cause[] {
  const causes: Cause[] = [];
  if (!name) causes.push(required("metadata.name", "name or generateName is required"));
  // RBAC's names may be any that fit in a path.
  else if (group === "rbac.authorization.k8s.io" ? /[/%]|^\.\.?$/.test(name) : !SUBDOMAIN.test(name)) {
    causes.push(
      wrong(
        "metadata.name",
        name,
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'",
      ),
    );
  } else if (
    (kind === "Namespace" || (kind === "Service" && group === "")) &&
    (!LABEL.test(name) || name.length > 63)
  ) {
    causes.push(
      wrong(
        "metadata.name",
        name,
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-'",
      ),
    );
  }
  for (const value of Object.values<Json>(labels ?? {})) {
    if (!/^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/.test(value) || value.length > 63) {
      causes.push(
        wrong(
          "metadata.labels",
          value,
          "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.'",
        ),
      );
    }
  }
  return causes;
}

function known({ kind }: Resource, object: Json, live: Json | undefined): Cause[] {
  const { spec } = object;
  const immutable = (field: string, before: unknown, now: unknown, why = "field is immutable") =>
    live && !isDeepStrictEqual(before, now) ? [wrong(field, now, why)] : [];
  switch (kind) {
    case "Secret": {
      const account = "kubernetes.io/service-account.name";
      const lacking = object.type === "kubernetes.io/service-account-token" && !object.metadata.annotations?.[account];
      return [
        ...immutable("type", live?.type, object.type),
        ...(lacking ? [required(`metadata.annotations[${account}]`)] : []),
        ...Object.entries(object.data ?? {}).flatMap(([key]) =>
          /^[-._a-zA-Z0-9]+$/.test(key)
            ? []
            : [
                wrong(
                  `data[${key}]`,
                  key,
                  "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
                ),
              ],
        ),
      ];
    }
    case "RoleBinding":
    case "ClusterRoleBinding":
      return [
        ...(object.roleRef?.name ? [] : [required("roleRef.name")]),
        ...immutable("roleRef", live?.roleRef, object.roleRef, "cannot change roleRef"),
      ];
    case "Deployment":
    case "ReplicaSet": {
      const wanted = Object.entries(spec?.selector?.matchLabels ?? {});
      const labels = spec?.template?.metadata?.labels ?? {};
      return [
        ...(spec?.selector ? [] : [required("spec.selector")]),
        ...(wanted.every(([key, value]) => labels[key] === value)
          ? []
          : [wrong("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")]),
        ...immutable("spec.selector", live?.spec.selector, spec?.selector),
        ...(spec?.template?.spec?.containers?.length ? [] : [required("spec.template.spec.containers")]),
      ];
    }
    case "Pod":
      return spec?.containers?.length ? [] : [required("spec.containers")];
    case "Service":
      return spec?.ports?.length || spec?.clusterIP === "None" || spec?.type === "ExternalName"
        ? []
        : [required("spec.ports")];
    case "CustomResourceDefinition": {
      const name = `${spec?.names?.plural}.${spec?.group}`;
      return [
        ...(object.metadata.name === name
          ? []
          : [wrong("metadata.name", object.metadata.name, `must be spec.names.plural+"."+spec.group`)]),
        ...(spec?.versions?.length ? [] : [required("spec.versions")]),
      ];
    }
    default:
      return [];
  }
}

/** `type`, `enum`, `required`, `pattern` and bounds of a custom resource's schema. */
function schema(root: Json, object: Json): Cause[] {
  const causes: Cause[] = [];
  const walk = (types: Json, value: Json, field: string): void => {
    if (!types || value === undefined || (value === null && types.nullable)) return;
    const is = Array.isArray(value)
      ? "array"
      : value === null
        ? "null"
        : Number.isInteger(value)
          ? "integer"
          : typeof value;
    if (
      types.type &&
      !types["x-kubernetes-int-or-string"] &&
      is !== types.type &&
      !(types.type === "number" && is === "integer")
    ) {
      causes.push(wrong(field, is, `${field} in body must be of type ${types.type}: "${is}"`));
      return;
    }
    if (types.enum && !types.enum.includes(value)) {
      const supported = types.enum.map((one: unknown) => JSON.stringify(one)).join(", ");
      causes.push({
        reason: "FieldValueNotSupported",
        message: `Unsupported value: ${JSON.stringify(value)}: supported values: ${supported}`,
        field,
      });
    }
    if (types.pattern && typeof value === "string" && !new RegExp(types.pattern).test(value)) {
      causes.push(wrong(field, value, `${field} in body should match '${types.pattern}'`));
    }
    if (types.minimum !== undefined && value < types.minimum) {
      causes.push(wrong(field, value, `${field} in body should be greater than or equal to ${types.minimum}`));
    }
    if (types.maximum !== undefined && value > types.maximum) {
      causes.push(wrong(field, value, `${field} in body should be less than or equal to ${types.maximum}`));
    }
    if (is === "array")
      value.forEach((item: Json, i: number) => {
        walk(types.items, item, `${field}[${i}]`);
      });
    if (is !== "object") return;
    const inner = (name: string) => (field ? `${field}.${name}` : name);
    for (const name of types.required ?? []) if (value[name] === undefined) causes.push(required(inner(name)));
    for (const [name, item] of Object.entries(value)) {
      if (field === "" && ["apiVersion", "kind", "metadata"].includes(name)) continue;
      const extra = typeof types.additionalProperties === "object" ? types.additionalProperties : undefined;
      walk(types.properties?.[name] ?? extra, item, inner(name));
    }
  };
  walk(root, object, "");
  return causes;
}
