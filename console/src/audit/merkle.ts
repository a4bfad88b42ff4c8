/** Merkle trees over a list of entries (RFC 6962, section 2.1), and proofs as RFC 9162 verifies them (2.1.3, 2.1.4). */

import { areSame, type Bytes, HASH_BYTES, sha256 } from "./bytes";

const MOST_HASHES = 126;
const OF_LEAF = Uint8Array.of(0);
const OF_NODE = Uint8Array.of(1);

/** A proof does not show what it was presented for; the message says what differs. */
export class ProofFailed extends Error {}

export function leafHash(entry: Bytes): Promise<Bytes> {
  return sha256(OF_LEAF, entry);
}

export function nodeHash(left: Bytes, right: Bytes): Promise<Bytes> {
  return sha256(OF_NODE, left, right);
}

/** Returns if a leaf is the entry `index` of the tree of `size` entries with this root; throws `ProofFailed` else. */
export async function verifyInclusion(
  leaf: Bytes,
  index: number,
  size: number,
  proof: readonly Bytes[],
  root: Bytes,
): Promise<void> {
  requireCounts(index, size);
  if (index >= size) throw new ProofFailed(`a tree of ${size} entries has no entry ${index}`);
  requireHashes([leaf, root, ...proof]);
  let found = leaf;
  await climb(index, size - 1, proof, async (part, isLeft) => {
    found = isLeft ? await nodeHash(part, found) : await nodeHash(found, part);
  });
  if (!areSame(found, root)) {
    throw new ProofFailed(`entry ${index} is not what the tree of ${size} entries holds there`);
  }
}

/** Returns if the tree of `later` entries only adds to the one of `earlier`; throws `ProofFailed` else. */
export async function verifyConsistency(
  earlier: number,
  later: number,
  proof: readonly Bytes[],
  earlierRoot: Bytes,
  laterRoot: Bytes,
): Promise<void> {
  requireCounts(earlier, later);
  if (earlier > later) {
    throw new ProofFailed(`a tree of ${later} entries does not begin with one of ${earlier}: entries are gone`);
  }
  requireHashes([earlierRoot, laterRoot, ...proof]);
  if (earlier === 0 || earlier === later) {
    const same = earlier === later ? laterRoot : await sha256();
    if (proof.length > 0 || !areSame(earlierRoot, same)) {
      throw new ProofFailed(`two trees of ${earlier} entries differ`);
    }
    return;
  }
  await verifyGrowth(earlier - 1, later - 1, proof, earlierRoot, laterRoot);
}

async function verifyGrowth(
  earlierLast: number,
  laterLast: number,
  proof: readonly Bytes[],
  earlierRoot: Bytes,
  laterRoot: Bytes,
): Promise<void> {
  let [node, last] = [earlierLast, laterLast];
  while (isOdd(node)) [node, last] = [half(node), half(last)];
  const [first, ...rest] = node === 0 ? [earlierRoot, ...proof] : proof;
  if (first === undefined || proof.length === 0) throw new ProofFailed("the proof is empty");
  let [one, other] = [first, first];
  await climb(node, last, rest, async (part, isLeft) => {
    if (isLeft) one = await nodeHash(part, one);
    other = isLeft ? await nodeHash(part, other) : await nodeHash(other, part);
  });
  if (!areSame(one, earlierRoot)) {
    throw new ProofFailed("the later tree does not begin with the earlier one: its history was rewritten");
  }
  if (!areSame(other, laterRoot)) throw new ProofFailed("the proof does not lead to the later tree");
}

/** Goes up from a node to the root, and gives each part of the proof with the side that it stands on. */
async function climb(
  from: number,
  lastOfLevel: number,
  proof: readonly Bytes[],
  take: (part: Bytes, isLeft: boolean) => Promise<void>,
): Promise<void> {
  let [node, last] = [from, lastOfLevel];
  for (const part of proof) {
    if (last === 0) throw new ProofFailed("the proof is longer than the tree is high");
    const isLeft = isOdd(node) || node === last;
    await take(part, isLeft);
    while (isLeft && !isOdd(node) && node !== 0) [node, last] = [half(node), half(last)];
    [node, last] = [half(node), half(last)];
  }
  if (last !== 0) throw new ProofFailed("the proof is shorter than the tree is high");
}

// Bit operators see 32 bits alone, and a log may have more entries.
function isOdd(number: number): boolean {
  return number % 2 === 1;
}

function half(number: number): number {
  return Math.floor(number / 2);
}

function requireCounts(...counts: readonly number[]): void {
  if (!counts.every((count) => Number.isSafeInteger(count) && count >= 0)) {
    throw new ProofFailed("places and sizes are whole numbers from 0");
  }
}

function requireHashes(hashes: readonly Bytes[]): void {
  if (hashes.length > MOST_HASHES || hashes.some((one) => one.length !== HASH_BYTES)) {
    throw new ProofFailed("the proof holds something else than SHA-256 hashes, or too many");
  }
}
