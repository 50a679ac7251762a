/** Something that the user has to mend: what happened, why, and what to do next. Carries no secret. */
export class Failure extends Error {
  readonly hint: string | undefined;

  /** @param message the cause in one sentence, with the cluster's object where there is one */
  constructor(message: string, hint?: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "Failure";
    this.hint = hint;
  }
}
