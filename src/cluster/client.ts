import { Failure } from "../mesh/failure.ts";
import { describe, type KubernetesObject, type ObjectRef, refOf } from "../mesh/objects/object.ts";
import { MANAGER } from "../mesh/objects/ownership.ts";
import { withhold, withholdEncoded } from "../mesh/redact.ts";
import type {
  Applied,
  Cluster,
  ExecResult,
  ListQuery,
  LogPart,
  Look,
  ProxyAnswer,
  Seen,
  TokenSpec,
  Wait,
} from "./cluster.ts";
import { contentsOf } from "./contents.ts";
import { type Deadline, sleep } from "./deadline.ts";
import { ApiError, isReplaced, orUndefined } from "./errors.ts";
import type { Kubeconfig } from "./kubeconfig.ts";
import { Login } from "./login.ts";
import { collectionPath, listPath, objectPath } from "./resources.ts";
import { PATIENCE_PASSED_ON, type Patience, pauseBefore } from "./retry.ts";
import { isSame, wouldBeSame } from "./same.ts";
import { type Response, Transport } from "./transport.ts";
import { type Broken, watch } from "./watch.ts";

/** What a wait saw before it first looked. */
const NOTHING = "nothing yet";

/** Told of waits and retries as they happen. */
export interface Watcher {
  waiting(wait: Wait): void;
  waited(wait: Wait): void;
  retrying(cluster: string, message: string): void;
}

/** Milliseconds after which a probe is asked again though nothing has changed. */
const LOOK_AGAIN = 5_000;
/** What is looked for in a log comes soon after the time from which on it is read. */
const LOG_BYTES = 4_000_000;

/** Where it says on a Deployment's pods when this action restarted them. Not kubectl's own annotation, which is kubectl's. */
const RESTARTED = `${MANAGER}/restartedAt`;

interface List<T> {
  metadata: { resourceVersion?: string };
  items: T[] | null;
}

/** For what is done beside a run, whose waits are nobody's: told of retries alone. */
export function retriesOnly(retrying: Watcher["retrying"]): Watcher {
  return { waiting() {}, waited() {}, retrying };
}

/** What a round of looking gave; nothing where it saw nothing new in its time. */
type Round<R> = { readonly done: R } | { readonly broken: Broken } | undefined;

/** A cluster behind its API server; nothing is sent before the first call. */
export function connect(name: string, kubeconfig: Kubeconfig, deadline: Deadline, watcher: Watcher): Cluster {
  // An API server, or what stands in its place, may quote what it was sent.
  kubeconfig.secrets.forEach(withhold);
  withholdEncoded(kubeconfig.text);
  const login = new Login(kubeconfig, deadline);
  const transport = new Transport(name, login, deadline, (message) => watcher.retrying(name, message));
  return new Client(name, transport, login, deadline, watcher);
}

class Client implements Cluster {
  readonly name: string;
  readonly #transport: Transport;
  readonly #login: Login;
  readonly #deadline: Deadline;
  readonly #watcher: Watcher;
  #uid: Promise<string> | undefined;

  constructor(name: string, transport: Transport, login: Login, deadline: Deadline, watcher: Watcher) {
    this.name = name;
    this.#transport = transport;
    this.#login = login;
    this.#deadline = deadline;
    this.#watcher = watcher;
  }

  get server() {
    return this.#transport.server;
  }

  get requests() {
    return this.#transport.requests;
  }

  kubeconfig(lasting: number): Promise<string> {
    return this.#login.kubeconfig(lasting);
  }

  async version(): Promise<string> {
    return (await this.#transport.json<{ gitVersion: string }>("read the Kubernetes version", "GET", "/version"))
      .gitVersion;
  }

  uid(): Promise<string> {
    this.#uid ??= this.get({ apiVersion: "v1", kind: "Namespace", name: "kube-system" }).then((found) => {
      if (found?.metadata.uid) return found.metadata.uid;
      throw new Failure("There is no namespace kube-system, by which a cluster is told from others.");
    });
    // What could not be read may be the next time.
    this.#uid.catch(() => {
      this.#uid = undefined;
    });
    return this.#uid;
  }

  async serves(apiVersion: string): Promise<boolean> {
    return (
      (await orUndefined(this.#transport.json(`look for ${apiVersion}`, "GET", `/apis/${apiVersion}`))) !== undefined
    );
  }

  async get<T extends KubernetesObject>(ref: ObjectRef): Promise<T | undefined> {
    return orUndefined(this.#transport.json<T>(`read ${describe(ref)}`, "GET", objectPath(ref)));
  }

  async list<T extends KubernetesObject>(query: ListQuery): Promise<T[]> {
    return (await this.#list<T>(query)).items;
  }

  contents(namespace: string): Promise<KubernetesObject[]> {
    return contentsOf(this.#transport, namespace);
  }

  apply<T extends KubernetesObject>(object: T, before: T | undefined, force = false): Promise<Applied<T>> {
    return this.#apply(object, before, force, false);
  }

  tryApply<T extends KubernetesObject>(object: T, before: T | undefined, force = false): Promise<Applied<T>> {
    return this.#apply(object, before, force, true);
  }

  async #apply<T extends KubernetesObject>(
    object: T,
    before: T | undefined,
    force: boolean,
    dryRun: boolean,
  ): Promise<Applied<T>> {
    const ref = refOf(object);
    const { uid } = before?.metadata ?? {};
    const body = uid ? { ...object, metadata: { ...object.metadata, uid } } : object;
    const after = await this.#transport.json<T>(
      `apply ${describe(ref)}`,
      "PATCH",
      `${objectPath(ref)}?fieldManager=${MANAGER}${force ? "&force=true" : ""}${dryRun ? "&dryRun=All" : ""}`,
      {
        body,
        contentType: "application/apply-patch+yaml",
        ...(dryRun ? { webhooks: () => PATIENCE_PASSED_ON } : {}),
      },
    );
    if (!before) return { object: after, action: "created" };
    const same = dryRun ? wouldBeSame(before, after) : isSame(before, after);
    return { object: after, before, action: same ? "unchanged" : "updated" };
  }

  async restart(deployment: ObjectRef): Promise<void> {
    const annotations = { [RESTARTED]: new Date().toISOString() };
    await this.#transport.json(
      `restart ${describe(deployment)}`,
      "PATCH",
      `${objectPath(deployment)}?fieldManager=${MANAGER}`,
      {
        body: { spec: { template: { metadata: { annotations } } } },
        contentType: "application/merge-patch+json",
      },
    );
  }

  create<T extends KubernetesObject>(object: KubernetesObject, webhooks?: Patience): Promise<T> {
    const ref = refOf(object);
    const path = `${collectionPath(ref)}?fieldManager=${MANAGER}`;
    return this.#transport.json<T>(`create ${describe(ref).trim()}`, "POST", path, { body: object, webhooks });
  }

  update<T extends KubernetesObject>(object: KubernetesObject, manager = MANAGER): Promise<T> {
    const ref = refOf(object);
    // Of one that was changed meanwhile, something else may have to be said: it is not tried again.
    const options = { contentType: "application/merge-patch+json", final: (answer: Response) => answer.status === 409 };
    const path = `${objectPath(ref)}?fieldManager=${encodeURIComponent(manager)}`;
    return this.#transport.json<T>(`update ${describe(ref)}`, "PATCH", path, { ...options, body: object });
  }

  dryRun<T extends KubernetesObject>(object: KubernetesObject, webhooks: Patience): Promise<T> {
    const path = `${collectionPath(refOf(object))}?dryRun=All&fieldManager=${MANAGER}`;
    return this.#transport.json<T>(`try ${describe(refOf(object))}`, "POST", path, { body: object, webhooks });
  }

  async delete(ref: ObjectRef, uid: string): Promise<boolean> {
    const body = { propagationPolicy: "Background", preconditions: { uid } };
    const gone = (error: unknown) => error instanceof ApiError && (error.status === 404 || isReplaced(error));
    return this.#transport.json(`delete ${describe(ref)}`, "DELETE", objectPath(ref), { body }).then(
      () => true,
      (error: unknown) => {
        if (gone(error)) return false;
        throw error;
      },
    );
  }

  async waitFor<K extends string, R>(
    what: string,
    queries: Readonly<Record<K, ListQuery>>,
    probe: (seen: Record<K, KubernetesObject[]>) => Look<R> | Promise<Look<R>>,
  ): Promise<R> {
    const names = Object.keys(queries) as K[];
    return this.#observed(what, async (wait) => {
      const lists = await Promise.all(names.map((name) => this.#list<KubernetesObject>(queries[name])));
      const seen = new Map(names.map((name, i) => [name, new Map(lists[i]?.items.map((item) => [keyOf(item), item]))]));
      let result: { done: R } | undefined;
      const look = async () => {
        const items = Object.fromEntries(names.map((name) => [name, [...(seen.get(name)?.values() ?? [])]]));
        const outcome = await probe(items as Record<K, KubernetesObject[]>);
        if ("done" in outcome) result = outcome;
        else this.#note(wait, outcome);
        return result !== undefined;
      };
      if (await look()) return result;

      // All watches end when the first one has what is waited for, or breaks; then everything is listed afresh.
      const over = new AbortController();
      const watching = names.map(async (name, i): Promise<Broken | undefined> => {
        const events = watch(this.#transport, queries[name], lists[i]?.metadata.resourceVersion, over.signal);
        for (;;) {
          const { value, done } = await events.next();
          if (over.signal.aborted || done) return done ? value : undefined;
          if (value.type === "DELETED") seen.get(name)?.delete(keyOf(value.object));
          else seen.get(name)?.set(keyOf(value.object), value.object);
          if (await look()) return undefined;
        }
      });
      // What a probe makes of the same objects may depend on how long they have been so.
      const looking = (async (): Promise<undefined> => {
        while (!over.signal.aborted) {
          await sleep(LOOK_AGAIN, over.signal);
          if (over.signal.aborted || (await look())) return;
        }
      })();
      let broken: Broken | undefined;
      try {
        broken = await Promise.race([...watching, looking]);
      } finally {
        over.abort();
        await Promise.allSettled([...watching, looking]);
      }
      return result ?? (broken ? { broken } : undefined);
    });
  }

  async poll<R>(what: string, probe: () => Promise<Look<R>>, within = Number.POSITIVE_INFINITY): Promise<R> {
    return this.#observed(
      what,
      async (wait) => {
        const outcome = await probe();
        if ("done" in outcome) return outcome;
        this.#note(wait, outcome);
        return undefined;
      },
      within,
    );
  }

  async proxy(
    pod: ObjectRef,
    port: number,
    path: string,
    isPods: (answer: ProxyAnswer) => boolean,
  ): Promise<ProxyAnswer> {
    const answerOf = ({ status, headers, text }: Response) => ({ status, headers, body: text });
    const response = await this.#transport.send(
      `ask ${describe(pod)}`,
      "GET",
      `${objectPath(pod)}:${port}/proxy/${path}`,
      { final: (each) => isPods(answerOf(each)), passedOn: true },
    );
    return answerOf(response);
  }

  exec(pod: ObjectRef, container: string, command: readonly string[], within?: number): Promise<ExecResult> {
    const parameters = new URLSearchParams({ container, stdout: "true", stderr: "true" });
    for (const word of command) parameters.append("command", word);
    const path = `${objectPath(pod)}/exec?${parameters}`;
    return this.#transport.exec(`run ${command[0]} in ${describe(pod)}`, path, within);
  }

  async logs(pod: ObjectRef, container: string, part: LogPart): Promise<string> {
    const parameters = new URLSearchParams({ container });
    if ("lastLines" in part) parameters.set("tailLines", String(part.lastLines));
    else {
      // To the second: Kubernetes takes no fractions of one here.
      parameters.set("sinceTime", `${part.since.toISOString().slice(0, 19)}Z`);
      parameters.set("limitBytes", String(LOG_BYTES));
    }
    const what = `read the log of ${describe(pod)}`;
    const path = `${objectPath(pod)}/log?${parameters}`;
    const response = await this.#transport.send(what, "GET", path, { passedOn: true });
    if (response.status >= 400) throw await this.#transport.refusal(what, response);
    return response.text;
  }

  async requestToken(account: ObjectRef, spec: TokenSpec): Promise<{ token: string; expires: Date }> {
    const body = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec };
    const { status } = await this.#transport.json<{ status: { token: string; expirationTimestamp: string } }>(
      `request a token of ${describe(account)}`,
      "POST",
      `${objectPath(account)}/token`,
      { body },
    );
    return { token: status.token, expires: new Date(status.expirationTimestamp) };
  }

  close(): Promise<void> {
    return this.#transport.close();
  }

  async #list<T extends KubernetesObject>(query: ListQuery): Promise<{ items: T[]; metadata: List<T>["metadata"] }> {
    const list = await orUndefined(this.#transport.json<List<T>>(`list ${query.kind}s`, "GET", listPath(query)));
    // A list's items come without the kind that the list names once.
    const items = (list?.items ?? []).map((item) => ({ ...item, apiVersion: query.apiVersion, kind: query.kind }));
    return { items, metadata: list?.metadata ?? {} };
  }

  /** Runs rounds until one gives a result; registers the wait for progress lines and ends it at the deadline. */
  async #observed<R>(
    what: string,
    round: (wait: Wait) => Promise<Round<R>>,
    within = Number.POSITIVE_INFINITY,
  ): Promise<R> {
    const wait: Wait = { cluster: this.name, what, since: performance.now(), seen: NOTHING };
    this.#watcher.waiting(wait);
    let broken = 0;
    try {
      for (let rounds = 0; ; rounds++) {
        const started = performance.now();
        const result = await round(wait).catch((error: unknown) => {
          if (this.#deadline.passed) return undefined;
          throw error;
        });
        if (result && "done" in result) return result.done;
        if (this.#deadline.passed) throw this.#late(wait);
        if (performance.now() - wait.since > within) {
          const seconds = Math.round(within / 1000);
          throw new Failure(`Waited ${seconds} s for ${what}. Last seen: ${sentence(wait.seen)}`, wait.hint);
        }
        // Short waits at first, for most things take a moment; a watch that lasted needs no pause.
        let pause = Math.min(2_000, 150 * 1.5 ** rounds) - (performance.now() - started);
        if (result) {
          const { problem, after } = result.broken;
          pause = pauseBefore(++broken, after);
          this.#watcher.retrying(this.name, `${problem}; begun anew in ${(pause / 1000).toFixed(1)} s`);
        }
        if (pause > 0) await this.#deadline.pause(pause);
      }
    } finally {
      this.#watcher.waited(wait);
    }
  }

  /** Once the deadline has passed, a probe sees only that it was cut off. */
  #note(wait: Wait, { seen, hint }: Seen): void {
    if (this.#deadline.passed && wait.seen !== NOTHING) return;
    wait.seen = seen;
    wait.hint = hint;
  }

  #late(wait: Wait): Failure {
    const seconds = Math.round((performance.now() - wait.since) / 1000);
    if (this.#deadline.cancelled) {
      return new Failure(`The run was cancelled while waiting for ${wait.what}.`, "A new run goes on from here.");
    }
    return new Failure(
      `Waited ${seconds} s for ${wait.what}, until the run's deadline of ${this.#deadline.seconds} s. Last seen: ${sentence(wait.seen)}`,
      wait.hint ?? "If it is only slow, raise the input `timeout`; a new run goes on from here.",
    );
  }
}

/** With a full stop, where it does not end in a mark of its own. */
function sentence(text: string): string {
  return /[.?!…]$/.test(text) ? text : `${text}.`;
}

function keyOf(object: KubernetesObject): string {
  return `${object.metadata.namespace ?? ""}/${object.metadata.name}`;
}
