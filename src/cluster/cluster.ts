import type { KubernetesObject, ObjectRef } from "../mesh/objects/object.ts";
import type { Action } from "../mesh/report.ts";
import type { Patience } from "./retry.ts";

export interface ListQuery {
  readonly apiVersion: string;
  readonly kind: string;
  /** Absent: all namespaces, or a cluster-scoped kind. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** So many at most, which the API server chooses: a list that is as long is taken to go on. Nothing to wait by. */
  readonly limit?: number;
}

export interface Applied<T> {
  readonly object: T;
  /** What was there, if anything was. */
  readonly before?: T;
  readonly action: Exclude<Action, "deleted">;
}

/** What a wait saw: it is over, or it goes on and `seen` says why. A look that throws ends the wait at once. */
export type Look<R> = { readonly done: R } | Seen;

/** Why what is waited for is not there yet, and what to do next where it stays so and that is known. */
export interface Seen {
  readonly seen: string;
  readonly hint?: string | undefined;
}

/** A wait under way, for progress lines; `seen` is the last thing that it saw. */
export interface Wait {
  readonly cluster: string;
  readonly what: string;
  readonly since: number;
  seen: string;
  hint?: string | undefined;
}

export interface ExecResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The end of a log, or what was logged from some time on, as far as there is room for it. */
export type LogPart = { readonly lastLines: number } | { readonly since: Date };

/** What a token is asked to be. */
export interface TokenSpec {
  readonly expirationSeconds: number;
  /** The token ends with this object. */
  readonly boundObjectRef: {
    readonly apiVersion: string;
    readonly kind: string;
    readonly name: string;
    readonly uid?: string;
  };
}

/** What a pod answered through the API server, or the API server in its place. */
export interface ProxyAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/**
 * One Kubernetes cluster. Every call is bounded by the run's deadline and retried where that can help; what remains is
 * thrown as a `Failure` or, where the API server answered, an `ApiError`.
 */
export interface Cluster {
  readonly name: string;
  /** The API server's URL as the runner reaches it. */
  readonly server: string;
  /** Requests sent so far, retries counted. */
  readonly requests: number;
  /**
   * A kubeconfig for a program, with the credentials that our own requests have got: what works for them works for it. It is
   * a secret.
   * @param lasting milliseconds for which the program needs it
   */
  kubeconfig(lasting: number): Promise<string>;
  /** `gitVersion`, e.g. `v1.33.1`. */
  version(): Promise<string>;
  /** UID of `kube-system`, by which a cluster is told from others; read once. */
  uid(): Promise<string>;
  /** Whether a group is served in this version, `config.openshift.io/v1`. Anybody who may log in may ask. */
  serves(apiVersion: string): Promise<boolean>;
  /** The object, or `undefined` where there is none (or its kind is not served). */
  get<T extends KubernetesObject>(ref: ObjectRef): Promise<T | undefined>;
  list<T extends KubernetesObject>(query: ListQuery): Promise<T[]>;
  /** Everything that is stored in a namespace, of whatever kind the API server serves: what each is, without its content. */
  contents(namespace: string): Promise<KubernetesObject[]>;
  /**
   * Server-side apply under our field manager; throws an `ApiError` that names the other manager on a conflict.
   * @param before what was read of it just now; only that very object is changed
   * @param force whether what other managers have set differently is taken from them
   */
  apply<T extends KubernetesObject>(object: T, before: T | undefined, force?: boolean): Promise<Applied<T>>;
  /** What `apply` would do, by a dry run; nothing is stored. A webhook that cannot be called is not insisted on. */
  tryApply<T extends KubernetesObject>(object: T, before: T | undefined, force?: boolean): Promise<Applied<T>>;
  /** Restarts the pods of a Deployment as `kubectl rollout restart` does; what our applies own of it stays as it is. */
  restart(deployment: ObjectRef): Promise<void>;
  /** @param webhooks how long a webhook is waited for that cannot be called, where not as long as the API server */
  create<T extends KubernetesObject>(object: KubernetesObject, webhooks?: Patience): Promise<T>;
  /**
   * Sets what the object says of one that was read, whose `resourceVersion` it must bear; all else of it stays. Throws an
   * `ApiError` 409 where it was changed since, or 404. After an answer that was lost it is 409, too.
   * @param manager whose fields they are then; default: ours
   */
  update<T extends KubernetesObject>(object: KubernetesObject, manager?: string): Promise<T>;
  /** The object as it would be after admission; nothing is stored. @param webhooks see `create` */
  dryRun<T extends KubernetesObject>(object: KubernetesObject, webhooks: Patience): Promise<T>;
  /** Deletes that very object; `false` where it is there no more. */
  delete(ref: ObjectRef, uid: string): Promise<boolean>;
  /**
   * Watches what the queries find until the probe is done; at the deadline throws a `Failure` with the last thing seen.
   * The probe may act on what it sees, and ends the wait by throwing.
   */
  waitFor<K extends string, R>(
    what: string,
    queries: Readonly<Record<K, ListQuery>>,
    probe: (seen: Record<K, KubernetesObject[]>) => Look<R> | Promise<Look<R>>,
  ): Promise<R>;
  /**
   * Asks again and again, for what cannot be watched.
   * @param within milliseconds, where it is not worth the whole time until the deadline
   */
  poll<R>(what: string, probe: () => Promise<Look<R>>, within?: number): Promise<R>;
  /**
   * Asks a pod's HTTP port through the API server.
   * @param isPods tells the pod's own answer, whatever it is, from the API server's in its place
   */
  proxy(pod: ObjectRef, port: number, path: string, isPods: (answer: ProxyAnswer) => boolean): Promise<ProxyAnswer>;
  /** A part of a container's log. */
  logs(pod: ObjectRef, container: string, part: LogPart): Promise<string>;
  /**
   * Runs a command in a pod's container; again where that broke off, so it must be one that may be repeated.
   * @param within milliseconds, where it may take longer than a request
   */
  exec(pod: ObjectRef, container: string, command: readonly string[], within?: number): Promise<ExecResult>;
  /** A token of a service account, by the TokenRequest API. */
  requestToken(account: ObjectRef, spec: TokenSpec): Promise<{ readonly token: string; readonly expires: Date }>;
  close(): Promise<void>;
}
