/** What this browser remembers of a log: its keys as it first saw them, and the largest head that it verified. */

import { fromBase64, HASH_BYTES } from "./bytes";
import { isRecord } from "./canonical";
import { areSameKeys, type LogKeys, parseKeys } from "./proof";

const KEPT = "ztfm-log";

/** A head that was verified, with the signed note that shows it: evidence, should it be denied later. */
export interface KnownHead {
  readonly size: number;
  /** In base64. */
  readonly root: string;
  readonly note: string;
}

export interface KnownLog {
  readonly keys: LogKeys;
  /** When these keys were first seen or trusted, Unix seconds. */
  readonly since: number;
  /** Whether the reader said that the keys are those of another source. */
  readonly isCompared: boolean;
  readonly head: KnownHead | null;
}

/** Returns what is remembered; nothing where it cannot be read. */
export function recall(storage: Storage): KnownLog | undefined {
  try {
    return parseKnown(JSON.parse(storage.getItem(KEPT) ?? "null"));
  } catch {
    return undefined;
  }
}

/** Remembers a log; a larger head that another page of this browser saw meanwhile stays. */
export function remember(storage: Storage, known: KnownLog): void {
  const before = recall(storage);
  const isOfOne = before !== undefined && areSameKeys(before.keys, known.keys);
  const head = isOfOne && (before.head?.size ?? 0) > (known.head?.size ?? 0) ? before.head : known.head;
  storage.setItem(KEPT, JSON.stringify({ ...known, head }));
}

/** Returns a log with keys that the reader trusts from now on; heads that another key signed are none of its. */
export function trusting(known: KnownLog | undefined, keys: LogKeys, now: number): KnownLog {
  const isSameLog = known !== undefined && known.keys.log === keys.log;
  return { keys, since: now, isCompared: true, head: isSameLog ? known.head : null };
}

function parseKnown(document: unknown): KnownLog | undefined {
  if (!isRecord(document) || typeof document.since !== "number") return undefined;
  const head = document.head === null ? null : parseHead(document.head);
  return { keys: parseKeys(document.keys), since: document.since, isCompared: document.isCompared === true, head };
}

function parseHead(document: unknown): KnownHead {
  if (!isRecord(document)) throw new SyntaxError("it is no head");
  const { size, root, note } = document;
  const isHead = Number.isSafeInteger(size) && typeof root === "string" && typeof note === "string";
  if (!isHead || fromBase64(root).length !== HASH_BYTES) throw new SyntaxError("it is no head");
  return { size: size as number, root, note };
}
