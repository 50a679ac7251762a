/** Where inputs come from: the runner, or a test. */
export interface InputSource {
  get(name: string): string;
  env(name: string): string | undefined;
  /** The environment as a whole, by which kubectl would find a kubeconfig. */
  readonly machine: NodeJS.ProcessEnv;
}
