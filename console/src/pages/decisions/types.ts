/** Decisions and their explanations, as the control plane tells them. */

import type { Requirement } from "../../api/requirements";

export interface Difference {
  readonly claim: string;
  /** Empty where the evidence says nothing. */
  readonly seen: string;
  readonly wanted: readonly string[];
}

export interface Reason {
  readonly code: string;
  readonly message: string;
  readonly remedy: string;
  readonly differences?: readonly Difference[];
  /** When it will be met by itself, Unix seconds. */
  readonly until?: number;
}

export interface Decision {
  readonly id: string;
  readonly time: number;
  readonly action: string;
  readonly subject: string;
  readonly resource: string;
  readonly outcome: "allow" | "deny" | "error";
  readonly reasons: readonly Reason[];
  readonly obligations: Readonly<Record<string, unknown>>;
  readonly rules: readonly string[];
  readonly ttl_seconds: number;
  readonly policy_revision: string;
  readonly policy_age_seconds?: number | null;
}

/** What the list shows of a decision: of a hundred thousand no more is kept. */
export interface Row {
  readonly id: string;
  readonly time: number;
  readonly action: string;
  readonly subject: string;
  readonly resource: string;
  readonly outcome: Decision["outcome"];
  /** Codes of what was missing. */
  readonly missing: readonly string[];
}

export interface DecisionRecord extends Decision {
  readonly seconds?: number | null;
  /** JSON pointers (RFC 6901) into the facts, to what policy keeps out of the log. */
  readonly masked: readonly string[];
  readonly facts: Readonly<Record<string, unknown>>;
}

export interface DecisionsFound {
  readonly decisions: readonly Decision[];
  /** Empty at the end. */
  readonly next_token: string;
}

/** A fact that would have had to be another. */
export interface Change {
  readonly path: string;
  readonly was: unknown;
  readonly becomes: unknown;
}

export interface Nearest {
  readonly alternatives: readonly (readonly Change[])[];
  readonly asked: number;
  readonly is_complete: boolean;
}

export interface Explanation {
  readonly policies_revision: string;
  readonly policies_are_those_that_decided: boolean;
  readonly policies_from: "release" | "folder" | "site";
  /** Layers that decided too: `again` and `nearest` are the base's alone. */
  readonly layers_not_asked?: readonly string[];
  readonly requirements: readonly Requirement[];
  readonly again: { readonly allow: boolean; readonly missing: readonly string[] } | null;
  readonly masked_and_read: readonly string[];
  readonly nearest: Nearest | null;
}
