import { describe, expect, test } from "vitest";
import type { Report } from "../../src/mesh/report.ts";
import { toMarkdown } from "../../src/report/markdown.ts";
import { headings, table } from "./reading.ts";
import {
  allFailed,
  deadGateway,
  failedInPreflight,
  failedMidway,
  healthy,
  passed,
  planned,
  report,
  twoCauses,
  unlinked,
  unreachable,
  withoutOne,
} from "./sample.ts";

/** A leftover that nobody minds, while every request is answered. */
const expired = () =>
  report({
    command: "verify",
    clusters: 3,
    ends: (id) =>
      id === "leftover.objects" ? { verdict: "failed", cause: "A probe was left.", hint: "Delete it." } : undefined,
  });

/** New tokens, or one istiod that does not take its up. */
const rotated = (stuck = false) =>
  report({
    command: "rotate",
    ends: (id, subject) => {
      if (!stuck || Object.values(subject)[0] !== "cluster1") return undefined;
      if (id === "rotate.adopted") return { verdict: "failed", cause: "It says syncing.", hint: "Run it again." };
      return id === "rotate.retired" ? { verdict: "skipped", cause: "Not reached." } : undefined;
    },
  });

/** A plan without a change. @param end of what was planned in the second cluster */
const unchanged = (end: "passed" | "unknown" | "failed" = "passed") =>
  report({
    command: "plan",
    action: "unchanged",
    ends: (id, subject) =>
      id === "plan.objects" && Object.values(subject).includes("cluster2") ? { verdict: end } : undefined,
  });

describe("what comes first", () => {
  test.each<[string, Report, RegExp]>([
    ["passed", healthy(), /^## ✅ 3 clusters are one mesh mesh1$/],
    ["passed, 20 clusters", healthy({ clusters: 20 }), /^## ✅ 20 clusters are one mesh mesh1$/],
    ["passed, installed too", passed({ traffic: true }), /^## ✅ 2 clusters are one mesh mesh1$/],
    ["passed without requests", passed(), /^## ✅ 2 clusters are set up as one mesh mesh1; no requests were sent$/],
    ["rotated", rotated(), /^## ✅ The tokens that the clusters of mesh mesh1 read each other by are new$/],
    ["not rotated", rotated(true), /^## ❌ The rotation of the tokens in mesh mesh1 is not finished$/],
    ["failed in the preflight", failedInPreflight(), /^## ❌ The clusters are not one mesh mesh1$/],
    ["failed midway", failedMidway({ clusters: 3 }), /^## ❌ The clusters are not one mesh mesh1$/],
    ["failed, requests are not answered", deadGateway(), /^## ❌ The clusters are not one mesh mesh1$/],
    ["failed, requests are answered", expired(), /^## ❌ Something is wrong with mesh mesh1$/],
    [
      "failed for a cluster that could not be reached",
      withoutOne(),
      /^## ❌ Mesh mesh1 is not whole: cluster3 could not be reached$/,
    ],
    [
      "failed for that and for more",
      withoutOne({
        ends: (id, subject) =>
          id === "install.exposure" && "cluster" in subject && subject.cluster === "cluster1"
            ? { verdict: "failed" }
            : undefined,
      }),
      /^## ❌ The clusters are not one mesh mesh1$/,
    ],
    [
      "no longer linked",
      report({ command: "uninstall", action: "deleted" }),
      /^## ✅ 2 clusters are no longer linked$/,
    ],
    [
      "linked by others",
      unlinked({ ends: (id) => (id === "uninstall.remote-secrets" ? { verdict: "passed", warning: "x" } : undefined) }),
      /^## ✅ This action's links are gone from 2 clusters, and others are left$/,
    ],
    ["removed", report({ command: "uninstall", wholly: true }), /^## ✅ Mesh mesh1 is gone from 2 clusters$/],
    [
      "removed as far as it is ours",
      {
        ...report({ command: "uninstall", wholly: true }),
        left: [{ cluster: "cluster1", apiVersion: "sailoperator.io/v1", kind: "Istio", name: "x", why: "y" }],
      },
      /^## ✅ This action's part of mesh mesh1 is gone from 2 clusters$/,
    ],
    ["not removed", allFailed({ command: "uninstall" }), /^## ❌ Not all of mesh mesh1 could be removed$/],
    ["incomplete", unreachable(), /^## ❔ Not all of mesh mesh1 could be checked$/],
    [
      "a change of the root that is under way",
      { ...healthy(), nextRunAfter: "2026-12-01T10:00:00.000Z" },
      /^## ⏳ The change of the root of mesh mesh1 is under way; run again after 2026-12-01T10:00:00\.000Z$/,
    ],
    ["planned", planned(), /^## 📝 `install` would change 6 objects in mesh mesh1$/],
    ["planned, nothing", unchanged(), /^## ✅ `install` would change nothing in mesh mesh1$/],
    ["planned in part", unchanged("unknown"), /^## ❔ `install` would change nothing in mesh mesh1$/],
    [
      "planned, with what stands in the way",
      unchanged("failed"),
      /^## ❌ `install` would not get through in mesh mesh1$/,
    ],
  ])("the verdict: %s", (_, sample, line) => {
    expect(toMarkdown(sample).split("\n")[0]).toMatch(line);
  });

  test.each<[string, Report, string]>([
    [
      "what was seen, of all pairs",
      healthy(),
      "All 6 ordered pairs answered each other's requests through the east-west gateways (p50 2.1 ms, worst p99 12 ms). 12.3 s.",
    ],
    [
      "what was done to tokens",
      rotated(),
      "Every istiod is known to use them (2 of 2 ordered pairs), and the older ones are retired. No requests between workloads were sent.",
    ],
    [
      "that old tokens are kept",
      rotated(true),
      "1 root cause. No token is deleted before every istiod that reads by it has a new one. No requests between workloads were sent.",
    ],
    [
      "when tokens expire",
      { ...healthy(), startedAt: "2026-11-24T10:00:00Z", tokensExpireAt: "2026-11-30T10:00:00.000Z" },
      "The first of the tokens that istiods read by expires in 6 days, at 2026-11-30T10:00:00.000Z.",
    ],
    [
      "that a change of the root is under way",
      { ...healthy(), nextRunAfter: "2026-12-01T10:00:00.000Z" },
      "All 6 ordered pairs answered each other's requests through the east-west gateways (p50 2.1 ms, worst p99 12 ms). 12.3 s.",
    ],
    [
      "that tokens have expired",
      { ...healthy(), startedAt: "2026-12-01T10:00:00Z", tokensExpireAt: "2026-11-30T10:00:00.000Z" },
      "A token that an istiod reads by expired at 2026-11-30T10:00:00.000Z.",
    ],
    [
      "what was seen and done",
      passed({ traffic: true }),
      "All 2 ordered pairs answered each other's requests through the east-west gateways (p50 2.0 ms, worst p99 9.0 ms). 4 objects changed. 12.3 s.",
    ],
    [
      "what was seen, without requests",
      passed(),
      "Every istiod has read every other cluster (2 of 2 ordered pairs), every east-west gateway is up. Whether workloads answer each other was not tried. 4 objects changed. 12.3 s.",
    ],
    [
      "what was seen by a look alone",
      healthy({ command: "install", traffic: false, action: "unchanged" }),
      "(6 of 6 ordered pairs), every east-west gateway is up. Whether workloads answer each other was not tried. Nothing had to be changed. 12.3 s.",
    ],
    [
      "that nothing was begun",
      failedInPreflight(),
      "1 root cause. No requests between workloads were sent. Nothing was changed. 12.3 s.",
    ],
    [
      "that nothing was begun, though requests were to be sent",
      failedInPreflight({ traffic: true }),
      "1 root cause. No requests between workloads were sent. Nothing was changed. 12.3 s.",
    ],
    [
      "how far it came",
      failedMidway({ clusters: 3 }),
      "2 root causes. No requests between workloads were sent. 6 objects changed; a new run goes on from here. 12.3 s.",
    ],
    [
      "what would be done, and where",
      planned({ clusters: 3 }),
      "3 objects would be deleted in cluster1, cluster2, cluster3; 4 objects would be updated in cluster1, cluster2, cluster3; 2 objects would be created in cluster2, cluster3. Nothing was changed. 12.3 s.",
    ],
    ["that nothing would be done", unchanged(), "Nothing was changed. 12.3 s."],
    [
      "that there may be more",
      unchanged("unknown"),
      "1 thing could not be checked, so there may be more. Nothing was changed.",
    ],
    [
      "what stands in the way",
      unchanged("failed"),
      "1 root cause. Of what could be planned: No object would be changed. Nothing was changed.",
    ],
    [
      "how many root causes and pairs there are",
      deadGateway(),
      "1 root cause explains 2 other checks. 2 of 6 ordered pairs do not get through. 12.3 s.",
    ],
    [
      "how many of many",
      twoCauses(),
      "2 root causes explain 57 other checks. 38 of 380 ordered pairs do not get through. 12.3 s.",
    ],
    [
      "what was done for whom, where a cluster could not be reached",
      withoutOne(),
      " cluster3 could not be reached. Without it: cluster1 is done (2 objects changed), cluster2 is done (2 objects changed). 4 of 6 ordered pairs could not be checked. 4 objects changed; a new run goes on from here. 12.3 s.",
    ],
    [
      "what was not done, where one more failed",
      withoutOne({
        action: "unchanged",
        ends: (id, subject) =>
          id === "install.exposure" && "cluster" in subject && subject.cluster === "cluster1"
            ? { verdict: "failed" }
            : undefined,
      }),
      "Without it: cluster1 is not done (nothing changed), cluster2 is done (nothing changed).",
    ],
    ["what was removed and what was left", unlinked(), "4 objects removed, 1 left. 12.3 s."],
    ["that there was nothing", report({ command: "uninstall", action: "unchanged" }), "Nothing was removed. 12.3 s."],
    [
      "how far it came",
      report({
        command: "uninstall",
        action: "deleted",
        ends: (id) => (id === "uninstall.access" ? { verdict: "failed", cause: "No." } : undefined),
      }),
      "1 root cause. 4 objects removed. A new run goes on from here. 12.3 s.",
    ],
    ["that requests get through all the same", expired(), "1 root cause. All 6 ordered pairs answered"],
    [
      "what could not be checked",
      unreachable(),
      "Could not be checked: cluster2 (“The API server answers”). Nothing that could be checked failed. 4 of 6 ordered pairs could not be checked. 12.3 s.",
    ],
    [
      "what failed and what could not be checked",
      report({
        command: "verify",
        clusters: 3,
        ends: (id, subject) => {
          if (id === "gateway.address" && "cluster" in subject && subject.cluster === "cluster1") {
            return { verdict: "failed", cause: "It has none." };
          }
          const unread = id === "traffic.probe" && "cluster" in subject && subject.cluster === "cluster2";
          const untried = id === "pair.request" && "source" in subject && subject.source === "cluster2";
          if (unread || untried) return { verdict: "unknown", cause: "No image could be pulled." };
          const unanswered = "source" in subject && subject.target === "cluster1";
          return unanswered ? { verdict: "failed", cause: "No answer." } : undefined;
        },
      }),
      "1 root cause explains 1 other check. 1 thing could not be checked. 1 of 6 ordered pairs do not get through, 2 of 6 ordered pairs could not be checked. 12.3 s.",
    ],
  ])("then %s", (_, sample, text) => {
    expect(toMarkdown(sample).split("\n")[2]).toContain(text);
  });

  test("of much that could not be checked the headline names a few", () => {
    const sample = report({
      command: "verify",
      clusters: 9,
      ends: (id, subject) =>
        id === "cluster.api" ? { verdict: "unknown", cause: `${Object.values(subject)} is silent.` } : undefined,
    });
    expect(toMarkdown(sample).split("\n")[2]).toContain(
      "cluster1 (“The API server answers”), cluster2 (“The API server answers”), cluster3 (“The API server answers”), and 6 more. ",
    );
  });

  test("a verification does not speak of changes, though its probes come and go", () => {
    const probe = { cluster: "cluster1", apiVersion: "v1", kind: "Namespace", name: "mesh-probe-1" };
    const changes = [
      { ...probe, action: "created" },
      { ...probe, action: "deleted" },
    ] as const;
    for (const sample of [healthy(), deadGateway(), unreachable()]) {
      expect(toMarkdown({ ...sample, changed: true, changes })).not.toMatch(/change|mesh-probe/);
    }
  });

  test("what an uninstallation left, and why", () => {
    expect(table(toMarkdown(unlinked()), "Cluster", "Kind", "Object")).toEqual([
      ["cluster1", "Secret", "istio-system/by-hand", expect.stringMatching(/^It has no label .* did not make it\.$/)],
    ]);
    expect(headings(toMarkdown(passed()))).not.toContain("Left because it is not this action's");
  });

  test("what is wrong, before the rest", () => {
    const markdown = toMarkdown({ ...failedMidway({ clusters: 3 }), warnings: ["Mind this."] });
    expect(headings(markdown).slice(1, 3)).toEqual(["What is wrong", "Clusters"]);
    expect(markdown.indexOf("What is wrong")).toBeLessThan(markdown.indexOf("Mind this."));
    expect(markdown.indexOf("Mind this.")).toBeLessThan(markdown.indexOf("### Clusters"));
    expect(table(markdown, "", "Where")).toEqual([
      ["✗", "cluster2 install.gateway-address", "The Service has no address.", "Is there a load balancer controller?"],
      ["✗", "cluster2 → cluster3 install.remote-secret", "Not allowed.", "Look at install.remote-secret ."],
    ]);
  });

  test("nothing is wrong where all passed", () => {
    expect(headings(toMarkdown(passed()))).not.toContain("What is wrong");
  });

  test("what was only skipped is not said to be wrong", () => {
    expect(table(toMarkdown(failedInPreflight()), "", "Where")).toHaveLength(1);
  });
});
