/** Where inputs come from: the runner, or a test. */
export interface InputSource {
  get(name: string): string;
  env(name: string): string | undefined;
}
