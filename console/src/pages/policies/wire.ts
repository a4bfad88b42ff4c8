/** The workbench's questions to the control plane, and what it answers. */

import { call, get } from "../../api/client";
import type { Requirement } from "../../api/requirements";
import { inTurn } from "./turns";

/** Changes over the sources, by path; `null` deletes. */
export type Changes = Readonly<Record<string, string | null>>;

export interface Sources {
  readonly revision: string;
  /** The release that is to decide, or the installation's folder where that brings no source. */
  readonly origin: "release" | "folder" | "none";
  /** A file that is no text has none here. */
  readonly files: readonly { readonly path: string; readonly text?: string | null }[];
}

/** What is asked about: changes, over a revision. */
export interface Draft {
  readonly files: Changes;
  readonly revision: string;
}

export interface Finding {
  readonly path: string;
  /** From 1, as is the column. */
  readonly line: number;
  readonly column: number;
  readonly severity: "error" | "warning";
  readonly code: string;
  readonly message: string;
  readonly remedy: string;
}

export interface Checked {
  readonly findings: readonly Finding[];
  /** Why a check was not done, by its name. */
  readonly skipped: Readonly<Record<string, string>>;
}

export interface TestResult {
  readonly package: string;
  readonly name: string;
  readonly path: string;
  readonly line: number;
  readonly outcome: "passed" | "failed" | "error" | "skipped";
  readonly seconds: number;
  readonly message: string;
}

/** First and last lines, both included. */
export type Span = readonly [number, number];

export interface Covered {
  readonly covered: readonly Span[];
  readonly not_covered: readonly Span[];
}

export interface TestRun {
  readonly passed: number;
  readonly failed: number;
  readonly examples: number;
  readonly tests: readonly TestResult[];
  readonly findings: readonly Finding[];
  readonly coverage: Readonly<Record<string, Covered>>;
}

export interface Decision {
  readonly id: string;
  readonly time: number;
  readonly action: string;
  readonly subject: string;
  readonly resource: string;
  readonly outcome: string;
  readonly reasons: readonly { readonly code: string }[];
}

export interface Evaluated {
  readonly recorded: Decision;
  /** None where it cannot be said, for `masked_and_read` was kept out of the log. */
  readonly now: { readonly allow: boolean; readonly missing: readonly string[] } | null;
  readonly masked_and_read: readonly string[];
  readonly requirements: readonly Requirement[];
}

export interface ReplayedGroup {
  readonly change: string;
  readonly reason: string;
  readonly segment: string;
  readonly action: string;
  readonly count: number;
  readonly examples: readonly string[];
}

export interface Replayed {
  readonly asked: number;
  readonly same: number;
  readonly unsure: number;
  readonly not_decided: number;
  readonly failed: number;
  readonly changes: readonly ReplayedGroup[];
}

export interface Bundle {
  readonly revision: string;
  readonly key_ids: readonly string[];
  /** What must be signed, base64url. */
  readonly claims: string;
  /** The archive without a signature, base64. */
  readonly bundle: string;
}

export interface Release {
  readonly sequence: number;
  readonly layer: string;
  readonly revision: string;
  readonly digest: string;
  readonly key_id: string;
  readonly origin: string;
  readonly published_at: number;
  readonly published_by: string;
  readonly size_bytes: number;
}

export interface Standing {
  readonly engine: string;
  readonly revision: string;
  readonly layers: readonly {
    readonly layer: string;
    readonly is_expected: boolean;
    readonly release?: Release | null;
    readonly active_revision: string;
    readonly refusal?: { readonly time: number; readonly reason: string; readonly detail: string } | null;
  }[];
}

export interface ShadowReport {
  readonly shadow: {
    readonly id: string;
    readonly revision: string;
    readonly started_at: number;
    readonly started_by: string;
    readonly stopped_at?: number | null;
  };
  readonly agreed: number;
  readonly changes: Readonly<Record<string, number>>;
  readonly failed: number;
  readonly dropped: number;
  readonly groups: readonly (Omit<ReplayedGroup, "examples"> & { readonly samples: readonly string[] })[];
}

const BENCH = "/v1/workbench";

export const readSources = (signal?: AbortSignal) => get<Sources>(`${BENCH}/sources`, {}, signal);

/** @param checks only these; all where none are named. */
export const check = (draft: Draft, checks: readonly string[], signal: AbortSignal) =>
  asked<Checked>("check", { ...draft, checks }, signal);

export const test = (draft: Draft) => asked<TestRun>("test", draft);

export const evaluate = (draft: Draft, decision: string) => asked<Evaluated>("evaluate", { ...draft, decision });

export const replay = (draft: Draft, since_seconds: number, limit: number) =>
  asked<Replayed>("replay", { ...draft, since_seconds, limit });

export const bundle = (draft: Draft) => asked<Bundle>("bundle", draft);

export const release = (draft: Draft, token: string) => asked<Release>("releases", { ...draft, token });

export const shadow = (draft: Draft, token: string) => asked<ShadowReport>("shadow", { ...draft, token });

function asked<T>(what: string, body: unknown, signal?: AbortSignal): Promise<T> {
  return inTurn(() => call<T>("POST", `${BENCH}/${what}`, signal === undefined ? { body } : { body, signal }));
}
