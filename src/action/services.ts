import * as v from "valibot";
import type { ServiceSpec } from "../mesh/spec.ts";
import { DNS_LABEL } from "./installation.ts";
import { type Report, shown } from "./messages.ts";
import type { InputSource } from "./source.ts";
import { readYaml } from "./yaml.ts";

/** Each takes a few lines of the report for every cluster. */
const MOST = 50;
const FORM = "`namespace/name` or `namespace/name:port`";

/** The input `services`: the user's Services that every cluster shall reach. */
export function readServices(source: InputSource, report: Report): ServiceSpec[] {
  const given = readYaml("services", source.get("services"), v.array(v.string()), report, []) ?? [];
  if (given.length > MOST) report("services", `has ${given.length} entries; expected ${MOST} at most`);
  const seen = new Set<string>();
  return given.flatMap((text, i) => {
    const [, namespace = "", name = "", port] = /^([^/:]+)\/([^/:]+)(?::(\d{1,5}))?$/.exec(text) ?? [];
    const number = port === undefined ? undefined : Number(port);
    if (
      !DNS_LABEL.test(namespace) ||
      !DNS_LABEL.test(name) ||
      (number !== undefined && !(number > 0 && number < 65_536))
    ) {
      report(`services[${i}]`, `is ${shown(text)}; expected ${FORM}`);
      return [];
    }
    if (seen.has(text)) {
      report(`services[${i}]`, `is ${shown(text)}, which is there already; leave one out`);
      return [];
    }
    seen.add(text);
    return [{ namespace, name, ...(number === undefined ? {} : { port: number }) }];
  });
}
