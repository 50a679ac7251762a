// What Envoy's `/clusters` says of the addresses that it has.
import { expect, test } from "vitest";
import { since, type Upstream, upstreamsIn } from "../../src/facts/upstreams.ts";

const WEB = "outbound|80||web.apps.svc.cluster.local";
const known: Upstream = {
  address: "192.0.2.7:15443",
  made: 3,
  failed: 1,
  requests: 9,
  good: 7,
  errors: 2,
  priority: 1,
  weight: 4,
  health: "healthy",
};
const lines = (address: string, cluster = WEB) => [
  `${cluster}::${address}::cx_active::1`,
  `${cluster}::${address}::cx_connect_fail::1`,
  `${cluster}::${address}::cx_total::3`,
  `${cluster}::${address}::rq_error::2`,
  `${cluster}::${address}::rq_success::7`,
  `${cluster}::${address}::rq_total::9`,
  `${cluster}::${address}::hostname::`,
  `${cluster}::${address}::health_flags::healthy`,
  `${cluster}::${address}::weight::4`,
  `${cluster}::${address}::region::`,
  `${cluster}::${address}::priority::1`,
];
const HEAD = [
  `${WEB}::observability_name::${WEB};`,
  `${WEB}::default_priority::max_connections::4294967295`,
  `${WEB}::added_via_api::true`,
];
const isWeb = (cluster: string) => cluster === WEB;

test.each<[string, string[], Upstream[] | undefined]>([
  ["an address", [...HEAD, ...lines("192.0.2.7:15443")], [known]],
  ["an address of IPv6", [...HEAD, ...lines("[2001:db8::7]:15443")], [{ ...known, address: "[2001:db8::7]:15443" }]],
  [
    "one that goes by HBONE",
    [...HEAD, ...lines("envoy://connect_originate/10.0.0.1:80")],
    [{ ...known, address: "10.0.0.1:80" }],
  ],
  [
    "one that is ejected",
    [...lines("1.2.3.4:5"), `${WEB}::1.2.3.4:5::health_flags::/failed_outlier_check`],
    [{ ...known, address: "1.2.3.4:5", health: "/failed_outlier_check" }],
  ],
  ["none", HEAD, []],
  ["another cluster's", lines("192.0.2.7:15443", "outbound|80||api.apps.svc.cluster.local"), undefined],
  ["nothing that can be read", ["", "upstream connect error"], undefined],
])("%s", (_, text, told) => {
  expect(upstreamsIn(text.join("\n"), isWeb)).toEqual(told);
});

test("of several clusters that have it an address is one", () => {
  const both = [...lines("192.0.2.7:15443"), ...lines("192.0.2.7:15443", `${WEB}.`)].join("\n");
  expect(upstreamsIn(both, () => true)).toEqual([
    { ...known, made: 6, failed: 2, requests: 18, good: 14, errors: 4, weight: 8 },
  ]);
});

test("what was counted before does not count", () => {
  const now = [
    { ...known, requests: 12, good: 10 },
    { ...known, address: "192.0.2.8:15443" },
  ];
  expect(since([known], now)).toEqual([
    { ...known, made: 0, failed: 0, requests: 3, good: 3, errors: 0 },
    { ...known, address: "192.0.2.8:15443" },
  ]);
});
