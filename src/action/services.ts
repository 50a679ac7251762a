import * as v from "valibot";
import { isMapping } from "../mesh/fields.ts";
import { type ExposedSpec, type ServiceSpec, serviceName } from "../mesh/spec.ts";
import { DNS_LABEL } from "./installation.ts";
import { type ReportProblem, shown } from "./messages.ts";
import type { InputSource } from "./source.ts";
import { checked, keys, readYaml } from "./yaml.ts";

/** Each takes a few lines of the report for every cluster. */
const MOST = 50;
const FORM = "`namespace/name` or `namespace/name:port`";
/** As it stands in a request (RFC 3986): all else is percent-encoded, and a fragment is never sent. */
const PATH = /^\/(?:[!$&-;=?-Z_a-z~[\]]|%[0-9A-Fa-f]{2}){0,1000}$/;
const ENTRY = keys({ service: v.string(), request: v.optional(v.string()) });

/** The input `services`: the user's Services that every cluster shall reach. */
export function readServices(source: InputSource, report: ReportProblem): ServiceSpec[] {
  const given = readYaml("services", source.get("services"), v.array(v.unknown()), report, []) ?? [];
  if (given.length > MOST) report("services", `has ${given.length} entries; expected ${MOST} at most`);
  const seen = new Set<string>();
  return given.flatMap((value, i) => {
    const input = `services[${i}]`;
    const entry = isMapping(value) ? checked(input, value, ENTRY, report) : checked(input, value, v.string(), report);
    if (entry === undefined) return [];
    const { service: text, request } = typeof entry === "string" ? { service: entry } : entry;
    const label = typeof entry === "string" ? input : `${input}.service`;
    const service = serviceOf(text);
    if (!service) report(label, `is ${shown(text)}; expected ${FORM}`);
    else if (seen.has(serviceName(service))) report(label, `is ${shown(text)}, which is there already; leave one out`);
    else seen.add(serviceName(service));
    if (request !== undefined && !PATH.test(request))
      report(`${input}.request`, `is ${shown(request)}; expected a path such as /healthz`);
    return service ? [{ ...service, ...(request === undefined ? {} : { request }) }] : [];
  });
}

const EXPOSED_FORM = "`namespace` or `namespace/name`";

/** The inputs `exposure` and `exposed-services`. @returns `undefined`: all Services are exposed */
export function readExposed(source: InputSource, report: ReportProblem): ExposedSpec[] | undefined {
  const mode = source.get("exposure");
  const given = readYaml("exposed-services", source.get("exposed-services"), v.array(v.string()), report, []) ?? [];
  if (!EXPOSURES.includes(mode)) report("exposure", `is ${shown(mode)}; expected one of: ${EXPOSURES.join(", ")}`);
  if (mode === "selected" && given.length === 0)
    report("exposed-services", "is empty, and `exposure: selected` takes a list; give one, or use `exposure: none`");
  if (mode !== "selected" && given.length > 0)
    report("exposed-services", "has an effect with `exposure: selected` only; leave it out, or set that");
  if (given.length > MOST) report("exposed-services", `has ${given.length} entries; expected ${MOST} at most`);
  const exposed = given.flatMap((text, i): ExposedSpec[] => {
    const [namespace = "", name, more] = text.split("/");
    const isFit = DNS_LABEL.test(namespace) && (name === undefined || DNS_LABEL.test(name)) && more === undefined;
    if (!isFit) report(`exposed-services[${i}]`, `is ${shown(text)}; expected ${EXPOSED_FORM}`);
    return isFit ? [{ namespace, ...(name === undefined ? {} : { name }) }] : [];
  });
  return mode === "all" ? undefined : exposed;
}

const EXPOSURES = ["all", "selected", "none"];

function serviceOf(text: string): ServiceSpec | undefined {
  const [, namespace = "", name = "", port] = /^([^/:]+)\/([^/:]+)(?::(\d{1,5}))?$/.exec(text) ?? [];
  const number = port === undefined ? undefined : Number(port);
  const isPort = number === undefined || (number > 0 && number < 65_536);
  if (!DNS_LABEL.test(namespace) || !DNS_LABEL.test(name) || !isPort) return undefined;
  return { namespace, name, ...(number === undefined ? {} : { port: number }) };
}
