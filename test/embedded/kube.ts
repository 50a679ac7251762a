/** Any Kubernetes object, as its JSON is. */
// biome-ignore lint/suspicious/noExplicitAny: tests read and write all sorts of fields
export type Json = any;

export interface Ref {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace?: string;
  readonly name: string;
}

export interface StoreEvent {
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly object: Json;
}

export interface ExecRequest {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  readonly command: readonly string[];
}

export interface ExecResponse {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What is wanted of a container's log. */
export interface LogRequest {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  readonly since?: Date;
}

/** A request to a pod's port, as the API server hands it on. */
export interface ProxyRequest {
  readonly method: string;
  readonly namespace: string;
  readonly pod: string;
  readonly port: number;
  /** With its leading slash, without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
}

export interface ProxyResponse {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface LoggedRequest {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly user: string;
  status: number;
}

/**
 * What an interceptor does to a request: nothing (`undefined`); an answer, whole or half, instead of the server's, or a cut
 * connection; or the server's own answer cut in half, the request done later, or done and answered later.
 */
export type Interference =
  | undefined
  | {
      readonly status: number;
      readonly body?: Json;
      readonly headers?: Record<string, string>;
      readonly half?: boolean;
    }
  | { readonly destroy: true }
  | { readonly truncate: true }
  | { readonly delayMs: number }
  | { readonly answerAfter: Promise<unknown> };

/**
 * An embedded Kubernetes API. What controllers and tests do goes past authentication and server-side apply. Objects that it
 * hands out are frozen: whoever changes one makes another.
 */
export interface Kube {
  /** `https://HOST:PORT`, by which kubeconfigs know it. */
  readonly server: string;
  /** Where it really listens: the same, or `http:` where it is without TLS. */
  readonly listening: string;
  /** PEM. */
  readonly ca: string;
  readonly requests: LoggedRequest[];
  /** A kubeconfig of an administrator. `server` replaces the URL. */
  kubeconfig(options?: { auth?: "certificate" | "token"; server?: string; token?: string }): string;
  get(ref: Ref): Json | undefined;
  list(apiVersion: string, kind: string, namespace?: string): Json[];
  /** Creates the object, or replaces it where it exists; sets metadata as the API server would, and tells watchers. */
  put(object: Json): Json;
  /** Merges into an object's status; generation stays. */
  patchStatus(ref: Ref, status: Json): Json;
  /** As a user's delete: finalizers hold it, dependents go after it. */
  delete(ref: Ref): boolean;
  /** All changes from now on, and first an ADDED for everything there is. Listeners run in a microtask of their own. */
  subscribe(listener: (event: StoreEvent) => void): () => void;
  /** Makes a bearer token known as a user's, e.g. `system:serviceaccount:ns:name`; `undefined` user revokes it. */
  setToken(token: string, user: string | undefined): void;
  /** The user that a token stands for. */
  userOf(token: string): string | undefined;
  /** What `pods/exec` answers. */
  onExec(handler: (request: ExecRequest) => Promise<ExecResponse> | ExecResponse): void;
  /** What `pods/log` answers. */
  onLog(handler: (request: LogRequest) => string): void;
  /** What a running pod answers through `pods/proxy`; `undefined`: nobody listens at that port. */
  onProxy(handler: (request: ProxyRequest) => Promise<ProxyResponse | undefined> | ProxyResponse | undefined): void;
  /**
   * What admission makes of a pod that a client creates, in a dry run too; it refuses by a StatusError. Pods that are put
   * here go past it.
   */
  onAdmit(handler: (pod: Json, options: { readonly dryRun: boolean }) => Json): void;
  /** Asked before each request; the last one set counts. */
  intercept(fn: ((request: LoggedRequest, number: number) => Interference | Promise<Interference>) | undefined): void;
  stop(): Promise<void>;
}
