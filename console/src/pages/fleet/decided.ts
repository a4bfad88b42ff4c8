/** Decisions about acts of people and services, as the log has them. */

import { get } from "../../api/client";

export interface Decided {
  readonly id: string;
  readonly time: number;
  readonly action: string;
  readonly subject: string;
  readonly resource: string;
}

/** A decision, and what was to become of the thing, with the reason that was given. */
export interface Told extends Decided {
  readonly status: string;
  readonly reason: string;
}

interface Found {
  readonly decisions: readonly Decided[];
  readonly next_token: string;
}

interface Recorded {
  readonly facts: { readonly resource?: { readonly properties?: Readonly<Record<string, unknown>> } };
}

const LIMIT = 50;
const LOOKS = 3;

/** Returns what was allowed of an action, newest first; a look goes through a part of the log. */
export async function allowed(
  action: string,
  wanted: { readonly since?: number; readonly subject?: string; readonly resource?: string },
  signal: AbortSignal,
): Promise<Decided[]> {
  const found: Decided[] = [];
  let token = "";
  for (let look = 0; look < LOOKS; look += 1) {
    const { since, subject } = wanted;
    const query = {
      action,
      outcome: "allow",
      since: since ?? "",
      subject: subject ?? "",
      limit: LIMIT,
      page_token: token,
    };
    const page = await get<Found>("/v1/decisions", query, signal);
    found.push(...page.decisions.filter((one) => (wanted.resource ?? one.resource) === one.resource));
    token = page.next_token;
    if (token === "" || found.length >= LIMIT) break;
  }
  return found;
}

/** Returns decisions with what was to become of each thing, and why. */
export async function told(decided: readonly Decided[], signal: AbortSignal): Promise<Told[]> {
  return Promise.all(
    decided.map(async (one) => {
      const record = await get<Recorded>(`/v1/decisions/${one.id}`, {}, signal);
      const stated = record.facts.resource?.properties ?? {};
      return { ...one, status: String(stated.status ?? ""), reason: String(stated.reason ?? "") };
    }),
  );
}
