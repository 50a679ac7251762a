import { expect, test } from "vitest";
import { tookUp } from "../../src/steps/rotate.ts";

const HEAD = "2026-11-24T10:00:00.000000Z\tinfo\t";

test.each<[boolean, string]>([
  [true, `${HEAD}Update cluster\tcluster=east secret=istio-system/istio-remote-secret-east`],
  [true, `${HEAD}Update cluster\tcluster=east config=istio-system/istio-remote-secret-east`],
  [true, `${HEAD}Add cluster\tcluster=east secret=istio-system/x`],
  [true, `${HEAD}Updating cluster\tcluster=east secret=istio-system/istio-remote-secret-east`],
  [true, `${HEAD}Updating cluster east from secret istio-system/istio-remote-secret-east`],
  [true, '{"level":"info","time":"t","msg":"Update cluster","cluster":"east","secret":"istio-system/x"}'],
  [false, `${HEAD}Update cluster\tcluster=east-2 secret=istio-system/istio-remote-secret-east`],
  [false, `${HEAD}Update cluster\tcluster=north-east secret=istio-system/istio-remote-secret-east`],
  [false, `${HEAD}skipping update (kubeconfig are identical)\tcluster=east secret=istio-system/x`],
  [false, `${HEAD}processing secret event for secret istio-system/istio-remote-secret-east`],
  [false, `error\tUpdate cluster: create remote cluster failed: kubeconfig is not valid\tcluster=east secret=x`],
  [false, `error\tUpdating cluster_id=east from secret=istio-system/x: kubeconfig is not valid`],
  [false, `${HEAD}Update cluster\n${HEAD}other\tcluster=east`],
  [false, ""],
])("%s: %s", (taken, log) => {
  expect(tookUp(`first line\n${log}\nlast line\n`, "east")).toBe(taken);
});
