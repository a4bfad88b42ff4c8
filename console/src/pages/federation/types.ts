/** What the control plane says of rounds, of the updates that came to them, and of orders to undo some. */

import type { Attribution } from "../fleet/types";

export interface RoundStanding {
  readonly id: string;
  readonly model: string;
  readonly model_digest: string;
  readonly opened_by: string;
  readonly opens_at: number;
  readonly closes_at: number;
  readonly state: "open" | "closed";
  readonly aggregation: string;
  readonly members: number;
  readonly accepted: number;
  readonly dropped: number;
}

export interface Evidence {
  readonly update_digest: string;
  readonly layer_shares: Readonly<Record<string, number>>;
  readonly layer_cosines?: Readonly<Record<string, number>> | null;
  readonly [measure: string]: unknown;
}

/** One update, and what became of it; what is absent is not on record. */
export interface Update {
  readonly round_id: string;
  readonly subject: string;
  readonly submitted: number;
  readonly outcome?: "allow" | "deny" | "error" | null;
  readonly decision_id?: string | null;
  readonly time?: number | null;
  readonly reasons: readonly { readonly code: string; readonly message: string; readonly remedy: string }[];
  readonly state?: string | null;
  readonly p_value?: number | null;
  readonly e_value?: number | null;
  readonly trust?: number | null;
  readonly evidence?: Evidence | null;
  readonly attribution?: Attribution | null;
}

export interface Rollback {
  readonly id: string;
  readonly model: string;
  readonly round_id: string;
  readonly subjects: readonly string[];
  readonly reason: string;
  readonly ordered_by: string;
  readonly ordered_at: number;
  readonly decision_id: string;
  readonly state: "ordered" | "done" | "failed";
  readonly ended_at?: number | null;
  readonly rounds: number;
  readonly left_out: number;
  readonly fault: string;
}

/** What an order would undo. */
export interface Preview {
  readonly model: string;
  readonly opened_by: string;
  readonly replayed: number;
  readonly rounds: readonly string[];
  readonly left_out: number;
  readonly kept: number;
}
