/** What a decision required and what did not hold, as the control plane explains it. */

/** An expression of a rule that did not hold. */
export interface Condition {
  readonly file: string;
  readonly line: number;
  readonly text: string;
  /** What it read, by path or by variable. */
  readonly values: Readonly<Record<string, unknown>>;
}

export interface Requirement {
  readonly code: string;
  readonly held: boolean;
  readonly waived: boolean;
  readonly message: string;
  readonly remedy: string;
  readonly differences: readonly string[];
  /** Empty when no rule names it. */
  readonly file: string;
  readonly line: number;
  readonly conditions: readonly Condition[];
}
