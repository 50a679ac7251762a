/** What an Envoy has to do with one address that it has for a cluster: numbers since it runs. */
export interface Upstream {
  /** With its port; an IPv6 address is in brackets. */
  readonly address: string;
  /** Connections, and those that did not come about. */
  readonly made: number;
  readonly failed: number;
  /** What was sent there, tries that were made again included. */
  readonly requests: number;
  /** Of HTTP alone: answers, and what was none or said of itself that it is an error (5xx). */
  readonly good: number;
  readonly errors: number;
  /** Requests go to the lowest priority that is well, in the measure of the weights. */
  readonly priority: number;
  readonly weight: number;
  /** What Envoy holds against it, such as `/failed_outlier_check`; `healthy`: nothing. */
  readonly health: string;
}

const NUMBERS: Readonly<Record<string, "made" | "failed" | "requests" | "good" | "errors" | "priority" | "weight">> = {
  cx_total: "made",
  cx_connect_fail: "failed",
  rq_total: "requests",
  rq_success: "good",
  rq_error: "errors",
  priority: "priority",
  weight: "weight",
};

/**
 * What Envoy's `/clusters` says of the clusters that are meant, `CLUSTER::ADDRESS::NAME::VALUE` a line, and of each cluster
 * some lines without an address. `undefined`: it has none of them. An address that several of them have is one.
 */
export function upstreamsIn(text: string, isMeant: (cluster: string) => boolean): Upstream[] | undefined {
  const found = new Map<string, { -readonly [key in keyof Upstream]: Upstream[key] }>();
  let known = false;
  for (const line of text.split("\n")) {
    // An IPv6 address may have `::` in it; what goes by HBONE is `envoy://connect_originate/ADDRESS`.
    const [, cluster = "", address = "", name = "", value = ""] =
      /^(.+?)::(?:(?:envoy:\/\/[^/]+\/)?(\[.*?\]:\d+|[^:]+:\d+)::)?(\w+)::(.*)$/.exec(line) ?? [];
    if (!isMeant(cluster)) continue;
    known = true;
    if (!address) continue;
    const upstream = found.get(address) ?? {
      ...{ address, made: 0, failed: 0, requests: 0, good: 0, errors: 0, weight: 0 },
      priority: Number.POSITIVE_INFINITY,
      health: "healthy",
    };
    found.set(address, upstream);
    const number = NUMBERS[name];
    // In several localities, as a gateway may be, an address is several times in one cluster.
    if (number === "priority") upstream.priority = Math.min(upstream.priority, Number(value));
    else if (number) upstream[number] += Number(value);
    else if (name === "health_flags") upstream.health = value;
  }
  return known ? [...found.values()] : undefined;
}

/** What was added to an Envoy's numbers since an earlier look. */
export function since(before: readonly Upstream[], now: readonly Upstream[]): Upstream[] {
  return now.map((upstream) => {
    const old = before.find(({ address }) => address === upstream.address);
    if (!old) return upstream;
    const added = (["made", "failed", "requests", "good", "errors"] as const).map((key) => [
      key,
      upstream[key] - old[key],
    ]);
    return { ...upstream, ...(Object.fromEntries(added) as Pick<Upstream, "made">) };
  });
}
