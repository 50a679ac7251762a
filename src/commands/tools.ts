import type { Call } from "../checks/remote-access.ts";
import type { Lock } from "../steps/lock.ts";
import type { ChangeTimes } from "../steps/root-view.ts";
import type { VerifyTools } from "./verify.ts";

/** What a command goes by that writes remote secrets. */
export interface WritingTools {
  readonly lock: Lock;
  readonly call: Call;
  /** Whether remote secrets of ours for clusters that are not on the list are removed; `rotate` revokes their tokens. */
  readonly prune: boolean;
  /** How the mesh is verified at the end; `undefined`: it is not. */
  readonly verification: VerifyTools | undefined;
  /** Milliseconds until the run's deadline; absent: it has none. */
  readonly left?: () => number;
  /** Of a change of the root, where not the usual times. */
  readonly times?: Partial<ChangeTimes> | undefined;
  /** How long an istiod may take to show that it takes up a remote secret, in milliseconds, where not the usual time. */
  readonly patience?: number | undefined;
}
