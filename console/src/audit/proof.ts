/** The proof that a record is in the log (`GET /v1/decisions/{id}/proof`), read strictly. */

import { areSame, type Bytes, fromHex, fromText, sha256 } from "./bytes";
import { canonical, isRecord } from "./canonical";
import { leafHash, ProofFailed } from "./merkle";

const HASH = /^[0-9a-f]{64}$/;
const ID = /^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,127}$/;
const KIND = /^[a-z]{1,32}$/;
const MOST_HASHES = 63;

/** What stands for a record in the log. */
export interface Entry {
  readonly commitment: string;
  readonly id: string;
  readonly kind: string;
  readonly time_ms: number;
}

export interface RecordProof {
  readonly entry: Entry;
  readonly place: number;
  readonly salt: string;
  /** Exactly what was recorded. */
  readonly record: string;
  /** From the entry's leaf up to the root. */
  readonly hashes: readonly string[];
  /** The signed head of the log. */
  readonly checkpoint: string;
}

/** Whose signatures make a head believable: verifier keys, and how many of the witnesses must have signed. */
export interface LogKeys {
  readonly log: string;
  readonly witnesses: readonly string[];
  readonly needed: number;
}

/** Returns the proof of a document; throws `ProofFailed` for what is none. */
export function parseProof(document: unknown): RecordProof {
  const found = membersOf(document, ["checkpoint", "entry", "hashes", "place", "record", "salt"]);
  const entry = membersOf(found.entry, ["commitment", "id", "kind", "time_ms"]);
  const isProof =
    [found.salt, entry.commitment, ...(isHashes(found.hashes, MOST_HASHES) ? [] : [undefined])].every(isHash) &&
    fits(ID, entry.id) &&
    fits(KIND, entry.kind) &&
    [found.place, entry.time_ms].every(isCount) &&
    [found.record, found.checkpoint].every((one) => typeof one === "string");
  if (!isProof) throw new ProofFailed("what came as a proof is none");
  return document as RecordProof;
}

/** Returns the hashes of a proof that a log only grew from one size to another. */
export function parseGrowth(document: unknown, earlier: number, later: number): Bytes[] {
  const found = membersOf(document, ["earlier", "hashes", "later"]);
  if (found.earlier !== earlier || found.later !== later || !isHashes(found.hashes, 2 * MOST_HASHES)) {
    throw new ProofFailed(`what came as a proof of growth from ${earlier} to ${later} entries is none`);
  }
  return found.hashes.map(fromHex);
}

/** Returns the keys of a document; throws `ProofFailed` for what holds none. */
export function parseKeys(document: unknown): LogKeys {
  const found = membersOf(document, ["log", "needed", "witnesses"]);
  const { log, needed, witnesses } = found;
  const areTexts = Array.isArray(witnesses) && [log, ...witnesses].every((one) => typeof one === "string");
  if (!areTexts || !isCount(needed) || needed > witnesses.length) throw new ProofFailed("what came as keys is none");
  return document as LogKeys;
}

/** Whether two keys of a log are the same, whatever their order. */
export function areSameKeys(one: LogKeys, other: LogKeys): boolean {
  const text = (keys: LogKeys) => canonical({ ...keys, witnesses: [...keys.witnesses].sort() });
  return text(one) === text(other);
}

/** Whether a record is what its entry commits to. */
export async function isCommitted(proof: RecordProof): Promise<boolean> {
  try {
    const commitment = await sha256(fromHex(proof.salt), fromText(proof.record));
    return areSame(commitment, fromHex(proof.entry.commitment));
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}

/** Returns the hash of an entry: that of the leaf of its canonical JSON. */
export function hashOf(entry: Entry): Promise<Bytes> {
  return leafHash(fromText(canonical(entry)));
}

function membersOf(document: unknown, names: readonly string[]): Readonly<Record<string, unknown>> {
  if (isRecord(document) && Object.keys(document).sort().join() === names.join()) return document;
  throw new ProofFailed(`it should have the members ${names.join(", ")}, and no other`);
}

function fits(pattern: RegExp, value: unknown): value is string {
  return typeof value === "string" && pattern.test(value);
}

function isHash(value: unknown): value is string {
  return fits(HASH, value);
}

function isHashes(value: unknown, most: number): value is string[] {
  return Array.isArray(value) && value.length <= most && value.every(isHash);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
