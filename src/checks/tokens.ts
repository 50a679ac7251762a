import type { Cluster } from "../cluster/cluster.ts";
import type { Member } from "../cluster/member.ts";
import type { KubernetesObject } from "../mesh/objects/object.ts";

export interface TokenStatus {
  readonly authenticated: boolean;
  readonly username?: string;
  readonly groups?: readonly string[];
  readonly error?: string;
}

/** Reviews tokens, each once: all observers of a target may hold the same. */
export type Reviews = (target: Pick<Member, "cluster">, token: string) => Promise<TokenStatus>;

export function reviewsOnce(): Reviews {
  const known = new Map<Cluster, Map<string, Promise<TokenStatus>>>();
  return ({ cluster }, token) => {
    const own = known.get(cluster) ?? new Map<string, Promise<TokenStatus>>();
    known.set(cluster, own);
    const review = own.get(token) ?? reviewToken(cluster, token);
    own.set(token, review);
    return review;
  };
}

/** Whether a token is good, by the API server that issued it. */
export async function reviewToken(cluster: Cluster, token: string): Promise<TokenStatus> {
  const { status } = await cluster.create<
    KubernetesObject & {
      status?: { authenticated?: boolean; user?: { username?: string; groups?: string[] }; error?: string };
    }
  >({ apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", metadata: { name: "" }, spec: { token } });
  return {
    authenticated: status?.authenticated === true,
    ...(status?.user?.username ? { username: status.user.username } : {}),
    ...(status?.user?.groups ? { groups: status.user.groups } : {}),
    ...(status?.error ? { error: status.error } : {}),
  };
}
