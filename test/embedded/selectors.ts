import type { Json } from "./kube.ts";
import { badRequest } from "./status.ts";

export type Matcher = (object: Json) => boolean;

/** A matcher for the selectors of a list or watch. */
export function matcher(labelSelector: string | null, fieldSelector: string | null): Matcher {
  const tests = [...split(labelSelector).map(labelTest), ...split(fieldSelector).map(fieldTest)];
  return (object) => tests.every((test) => test(object));
}

/** The requirements, which commas part, but not those in a set's parentheses. */
function split(selector: string | null): string[] {
  return (selector ?? "").split(/,(?![^(]*\))/).flatMap((part) => part.trim() || []);
}

function labelTest(requirement: string): Matcher {
  const labels = (object: Json): Record<string, string> => object.metadata.labels ?? {};
  const set = /^([^\s!=]+)\s+(in|notin)\s*\(([^)]*)\)$/.exec(requirement);
  if (set) {
    const [, key = "", operator, list = ""] = set;
    const values = list.split(",").map((value) => value.trim());
    return operator === "in"
      ? (object) => Object.hasOwn(labels(object), key) && values.includes(labels(object)[key] ?? "")
      : (object) => !Object.hasOwn(labels(object), key) || !values.includes(labels(object)[key] ?? "");
  }
  const equality = /^([^\s!=]+)\s*(==|=|!=)\s*([^\s!=]*)$/.exec(requirement);
  if (equality) {
    const [, key = "", operator, value] = equality;
    return operator === "!=" ? (object) => labels(object)[key] !== value : (object) => labels(object)[key] === value;
  }
  const existence = /^(!?)\s*([^\s!=()]+)$/.exec(requirement);
  if (!existence) throw badRequest(`unable to parse requirement: ${requirement}`);
  const [, not, key = ""] = existence;
  return (object) => Object.hasOwn(labels(object), key) === !not;
}

function fieldTest(requirement: string): Matcher {
  const parsed = /^([^!=]+)(==|=|!=)(.*)$/.exec(requirement);
  if (!parsed) throw badRequest(`invalid selector: '${requirement}'; can't understand '${requirement}'`);
  const [, path = "", operator, value = ""] = parsed;
  const read = (object: Json): string => {
    let current = object;
    for (const name of path.split(".")) current = current?.[name];
    return current === undefined ? "" : String(current);
  };
  return (object) => (read(object) === value) === (operator !== "!=");
}
