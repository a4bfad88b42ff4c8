/** For tests alone: trees as RFC 6962 defines them, logs and witnesses with keys of their own, and single bits changed. */

import { type Bytes, fromText, joined, sha256, toBase64, toHex } from "./bytes";
import { canonical } from "./canonical";
import type { LogKeys, RecordProof } from "./proof";

/** Gives every other value of some bytes that differs by one bit. */
export function* flippedBits(bytes: Bytes): Generator<Bytes> {
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const wrong = bytes.slice();
    const at = bit >> 3;
    wrong[at] = (wrong[at] as number) ^ (1 << (bit & 7));
    yield wrong;
  }
}

/** Gives every other text that differs by one bit of one character. */
export function* flippedTexts(text: string): Generator<string> {
  for (let at = 0; at < text.length; at++) {
    for (let bit = 0; bit < 7; bit++) {
      const other = String.fromCharCode(text.charCodeAt(at) ^ (1 << bit));
      yield text.slice(0, at) + other + text.slice(at + 1);
    }
  }
}

/** A tree that is kept whole, and computed as RFC 6962 defines it, without what is tested. */
export class Tree {
  private constructor(readonly leaves: readonly Bytes[]) {}

  static async over(entries: readonly Bytes[]): Promise<Tree> {
    return new Tree(await Promise.all(entries.map((entry) => sha256(Uint8Array.of(0), entry))));
  }

  async root(start: number, end: number): Promise<Bytes> {
    if (end === start) return sha256();
    if (end - start === 1) return this.leaves[start] as Bytes;
    const middle = start + largestPower(end - start);
    return sha256(Uint8Array.of(1), await this.root(start, middle), await this.root(middle, end));
  }

  /** PATH(m, D[n]) of section 2.1.1. */
  async inclusion(index: number, start: number, end: number): Promise<Bytes[]> {
    if (end - start === 1) return [];
    const middle = start + largestPower(end - start);
    return index < middle
      ? [...(await this.inclusion(index, start, middle)), await this.root(middle, end)]
      : [...(await this.inclusion(index, middle, end)), await this.root(start, middle)];
  }

  /** PROOF(m, D[n]) of section 2.1.2. */
  async consistency(earlier: number, later: number): Promise<Bytes[]> {
    return earlier === 0 ? [] : this.subproof(earlier, 0, later, true);
  }

  private async subproof(earlier: number, start: number, end: number, isWhole: boolean): Promise<Bytes[]> {
    if (start + earlier === end) return isWhole ? [] : [await this.root(start, end)];
    const size = largestPower(end - start);
    const middle = start + size;
    return earlier <= size
      ? [...(await this.subproof(earlier, start, middle, isWhole)), await this.root(middle, end)]
      : [...(await this.subproof(earlier - size, middle, end, false)), await this.root(start, middle)];
  }
}

function largestPower(size: number): number {
  let found = 1;
  while (found * 2 < size) found *= 2;
  return found;
}

/** Somebody who signs notes, as a log (1) or as a witness with the time (4). */
export class Signer {
  private constructor(
    readonly name: string,
    readonly type: 1 | 4,
    private readonly key: CryptoKey,
    readonly typed: Bytes,
    readonly keyId: Bytes,
  ) {}

  static async create(name: string, type: 1 | 4): Promise<Signer> {
    const pair = (await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"])) as CryptoKeyPair;
    const own = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
    const typed = joined(Uint8Array.of(type), own);
    const keyId = (await sha256(fromText(`${name}\n`), typed)).slice(0, 4);
    return new Signer(name, type, pair.privateKey, typed, keyId);
  }

  /** The verifier key. */
  get text(): string {
    return `${this.name}+${toHex(this.keyId)}+${toBase64(this.typed)}`;
  }

  /** Returns a line of a note. */
  async line(text: string, at = 1_800_000_000): Promise<string> {
    const time = new Uint8Array(8);
    new DataView(time.buffer).setBigUint64(0, BigInt(at));
    const isWitness = this.type === 4;
    const signed = fromText(isWitness ? `cosignature/v1\ntime ${at}\n${text}` : text);
    const made = new Uint8Array(await crypto.subtle.sign("Ed25519", this.key, signed));
    const value = joined(this.keyId, ...(isWitness ? [time] : []), made);
    return `— ${this.name} ${toBase64(value)}\n`;
  }
}

/** A log with one witness, whose every entry stands for a decision. */
export class Log {
  private constructor(
    readonly signer: Signer,
    readonly witness: Signer,
    readonly records: readonly string[],
    readonly entries: readonly RecordProof["entry"][],
    readonly tree: Tree,
  ) {}

  static async of(size: number, said = (number: number) => `deny ${number}`): Promise<Log> {
    const [signer, witness] = [await Signer.create("ztfm.example/log", 1), await Signer.create("org-b", 4)];
    return (await Log.signedBy(signer, witness, size, said)) as Log;
  }

  static async signedBy(
    signer: Signer,
    witness: Signer,
    size: number,
    said = (number: number) => `deny ${number}`,
  ): Promise<Log> {
    const numbers = Array.from({ length: size }, (_, number) => number);
    const records = numbers.map((number) =>
      JSON.stringify({ id: `dec-${number}`, time: number + 0.5, facts: said(number) }),
    );
    const entries = await Promise.all(
      records.map(async (record, number) => {
        const commitment = toHex(await sha256(SALT, fromText(record)));
        return { commitment, id: `dec-${number}`, kind: "decision", time_ms: number * 1000 + 500 };
      }),
    );
    const tree = await Tree.over(entries.map((entry) => fromText(canonical(entry))));
    return new Log(signer, witness, records, entries, tree);
  }

  get keys(): LogKeys {
    return { log: this.signer.text, witnesses: [this.witness.text], needed: 1 };
  }

  async proof(index: number, size: number): Promise<RecordProof> {
    const text = `${this.signer.name}\n${size}\n${toBase64(await this.tree.root(0, size))}\n`;
    const signatures = (await this.signer.line(text)) + (await this.witness.line(text));
    const hashes = (await this.tree.inclusion(index, 0, size)).map(toHex);
    const [entry, record] = [this.entries[index], this.records[index]] as [RecordProof["entry"], string];
    return { entry, place: index, salt: toHex(SALT), record, hashes, checkpoint: `${text}\n${signatures}` };
  }

  async grew(earlier: number, later: number): Promise<unknown> {
    return { earlier, later, hashes: (await this.tree.consistency(earlier, later)).map(toHex) };
  }
}

const SALT = new Uint8Array(32).fill(7);
