/** Records of identities as the control plane's log has them: statements, each signed (RFC 7515), newest last. */

import { get } from "../../api/client";

const PAGE = 64;
const PAGES = 4;

/** So many of the latest records are looked through for those of one device. */
export const LOOKED_AT = PAGE * PAGES;

export interface HistoryEntry {
  readonly act: string;
  readonly sequence: number;
  readonly time_ms: number;
  readonly place: number;
}

interface Shown {
  readonly place: number;
  readonly record: { readonly statement: string };
}

interface ShownRecords {
  readonly records: readonly Shown[];
  readonly total: number;
}

/** Returns what the latest records say of one device, the earliest first. Nothing is verified here. */
export async function historyOf(id: string, signal: AbortSignal): Promise<{ entries: readonly HistoryEntry[] }> {
  const { total } = await page(0, 1, signal);
  const found: Shown[] = [];
  for (let after = Math.max(0, total - LOOKED_AT); after < total; after += PAGE) {
    found.push(...(await page(after, PAGE, signal)).records);
  }
  return { entries: found.flatMap((shown) => entryOf(shown, id)) };
}

function page(after: number, limit: number, signal: AbortSignal): Promise<ShownRecords> {
  return get<ShownRecords>("/v1/identity/records", { after, limit }, signal);
}

function entryOf(shown: Shown, id: string): HistoryEntry[] {
  const said = payloadOf(shown.record.statement);
  if (said.subject !== id) return [];
  const { act, sequence, time_ms } = said;
  return [{ act: String(act), sequence: Number(sequence), time_ms: Number(time_ms), place: shown.place }];
}

/** Returns what a compact JWS says, unverified. */
export function payloadOf(signed: string): Readonly<Record<string, unknown>> {
  const part = signed.split(".")[1] ?? "";
  const bytes = Uint8Array.from(atob(part.replaceAll("-", "+").replaceAll("_", "/")), (sign) => sign.charCodeAt(0));
  return JSON.parse(new TextDecoder().decode(bytes)) as Readonly<Record<string, unknown>>;
}
