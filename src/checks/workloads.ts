import type { InjectionPolicy } from "../facts/injectors.ts";
import type { Secret } from "../mesh/objects/secrets.ts";
import type { MeshSpec } from "../mesh/spec.ts";
import type { Judgements } from "./finding.ts";
import { namespacesHaveRoot } from "./namespace-roots.ts";
import type { Observation } from "./observation.ts";
import type { Part } from "./part.ts";
import { haveNamesOfIstiod } from "./proxy-identity.ts";
import { trustTheRoot } from "./proxy-root.ts";
import { type Trouble, takeTheirConfiguration } from "./proxy-sync.ts";
import { goWithIstiod } from "./proxy-version.ts";
import { haveSidecars } from "./sidecars.ts";

/** The workloads that run in a cluster, to judge them. */
export interface WorkloadsView {
  readonly seen: Observation;
  /** What was wrong with proxies and stayed so. */
  readonly lasting: Part<readonly Trouble[]>;
  /** Whether requests are sent between the clusters. */
  readonly traffic: boolean;
  /** The Secret of the root that istiod made itself, where that is asked for. */
  readonly istiodsOwn: Part<Secret | undefined>;
  /** By revision; those that are asked for. */
  readonly policies: Part<ReadonlyMap<string, InjectionPolicy>>;
}

/** The checks of the workloads that run. @param now for the times of their certificates */
export function workloadChecks(mesh: MeshSpec, now = new Date()): Judgements<WorkloadsView> {
  return {
    "trust.namespaces": ({ seen }) => namespacesHaveRoot(mesh, seen, now),
    "workloads.identity": ({ seen }) => haveNamesOfIstiod(mesh, seen),
    "workloads.root": ({ seen, istiodsOwn }) => trustTheRoot(mesh, seen, istiodsOwn, now),
    "workloads.synced": ({ seen, lasting, traffic }) => takeTheirConfiguration(mesh, seen, lasting, traffic),
    "workloads.version": ({ seen }) => goWithIstiod(mesh, seen),
    "workloads.injected": ({ seen, policies }) => haveSidecars(mesh, seen, policies),
  };
}
