/** Signed notes (c2sp.org/signed-note) and the checkpoints in them (c2sp.org/tlog-checkpoint), with Ed25519 keys. */

import { areSame, type Bytes, fromBase64, fromText, HASH_BYTES, joined, sha256, toBase64, toHex } from "./bytes";

const MOST_BYTES = 64 * 1024;
const MOST_SIGNATURES = 64;
const ID_BYTES = 4;
const KEY_BYTES = 32;
const TIME_BYTES = 8;
const SIGNATURE_BYTES = 64;
const NAME = /^[^\s+\p{Cc}]{1,128}$/u;
const LINE = /^— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})$/;
const KINDS = { 1: "note", 4: "cosignature" } as const;

/** A note, a key or a signature is not what it should be; the message says how. */
export class NoteInvalid extends Error {}

/** This browser cannot verify such signatures; nothing is said of them. */
export class NotSupported extends Error {}

export interface Signature {
  readonly name: string;
  /** Four bytes that tell keys of the same name apart. */
  readonly keyId: Bytes;
  readonly value: Bytes;
}

export interface Note {
  /** What is signed; it ends with a newline. */
  readonly text: string;
  readonly signatures: readonly Signature[];
}

/** A public key and whose it is. */
export interface Verifier {
  readonly name: string;
  readonly kind: (typeof KINDS)[keyof typeof KINDS];
  readonly keyId: Bytes;
  readonly key: Bytes;
}

/** The head of a log. */
export interface Checkpoint {
  readonly origin: string;
  readonly size: number;
  readonly root: Bytes;
}

export function parseNote(raw: string): Note {
  if (decoded(() => fromText(raw), "a note").length > MOST_BYTES) {
    throw new NoteInvalid(`a note has at most ${MOST_BYTES} bytes`);
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
  if (/[\u0000-\u0009\u000b-\u001f\ufffd]/.test(raw)) throw new NoteInvalid("a note holds text alone");
  const end = raw.lastIndexOf("\n\n");
  if (end < 1 || !raw.endsWith("\n") || end + 2 >= raw.length) {
    throw new NoteInvalid("a note is a text, an empty line, and signature lines that end with a newline");
  }
  const lines = raw.slice(end + 2, -1).split("\n");
  if (lines.length > MOST_SIGNATURES) throw new NoteInvalid(`a note has at most ${MOST_SIGNATURES} signatures`);
  return { text: raw.slice(0, end + 1), signatures: lines.map(signatureOf) };
}

/** Returns the key of a text `name+id+key`, whose id must be that of the key. */
export async function parseVerifier(text: string): Promise<Verifier> {
  const [, name = "", id = "", encoded = ""] = /^([^+]*)\+([^+]*)\+(.*)$/s.exec(text.trim()) ?? [];
  const typed = decoded(() => fromBase64(encoded), "a verifier key");
  const kind = KINDS[typed[0] as keyof typeof KINDS];
  if (kind === undefined || typed.length !== 1 + KEY_BYTES || !NAME.test(name)) {
    throw new NoteInvalid("a verifier key is name+id+key, and the key an Ed25519 one of a note or a cosignature");
  }
  const named = joined(fromText(`${name}\n`), typed);
  const keyId = (await sha256(named)).slice(0, ID_BYTES);
  if (toHex(keyId) !== id) throw new NoteInvalid(`the id of the key of ${name} is ${toHex(keyId)}, not ${id}`);
  return { name, kind, keyId, key: typed.slice(1) };
}

/** Returns the first signature of a note that verifies with a key, or none. */
export async function signedBy(note: Note, verifier: Verifier): Promise<Signature | undefined> {
  const own = note.signatures.filter((one) => one.name === verifier.name && areSame(one.keyId, verifier.keyId));
  for (const signature of own) {
    if (await holds(verifier, note.text, signature)) return signature;
  }
  return undefined;
}

/** Returns when a witness signed, Unix seconds. */
export function timeOf(cosignature: Signature): number {
  if (cosignature.value.length !== TIME_BYTES + SIGNATURE_BYTES) {
    throw new NoteInvalid("a cosignature is a time of 8 bytes and an Ed25519 signature");
  }
  return Number(new DataView(cosignature.value.buffer, cosignature.value.byteOffset).getBigUint64(0));
}

export function parseCheckpoint(text: string): Checkpoint {
  const [origin = "", size = "", root = "", ...rest] = text.split("\n");
  if (origin === "" || rest.length === 0 || rest.at(-1) !== "") {
    throw new NoteInvalid("a checkpoint is an origin, a size and a root, each on a line");
  }
  if (!/^(0|[1-9][0-9]{0,15})$/.test(size) || !Number.isSafeInteger(Number(size))) {
    throw new NoteInvalid("the size of a checkpoint is a decimal number without leading zeros");
  }
  const found = decoded(() => fromBase64(root), "the root of a checkpoint");
  if (found.length !== HASH_BYTES) throw new NoteInvalid(`the root of a checkpoint is ${HASH_BYTES} bytes in base64`);
  return { origin, size: Number(size), root: found };
}

async function holds(verifier: Verifier, text: string, signature: Signature): Promise<boolean> {
  let [signed, value] = [text, signature.value];
  if (verifier.kind === "cosignature") {
    if (value.length !== TIME_BYTES + SIGNATURE_BYTES) return false;
    // As a number a time of more than 53 bits would be rounded to one that nobody signed.
    const at = new DataView(value.buffer, value.byteOffset).getBigUint64(0);
    [signed, value] = [`cosignature/v1\ntime ${at}\n${text}`, value.slice(TIME_BYTES)];
  }
  if (value.length !== SIGNATURE_BYTES) return false;
  return verifyEd25519(verifier.key, value, fromText(signed));
}

async function verifyEd25519(key: Bytes, signature: Bytes, signed: Bytes): Promise<boolean> {
  let imported: CryptoKey;
  try {
    imported = await crypto.subtle.importKey("raw", key, "Ed25519", false, ["verify"]);
  } catch (error) {
    if (error instanceof DOMException && error.name === "NotSupportedError") {
      throw new NotSupported("this browser cannot verify Ed25519 signatures");
    }
    return false;
  }
  return crypto.subtle.verify("Ed25519", imported, signature, signed);
}

function signatureOf(line: string): Signature {
  const [, name, encoded] = LINE.exec(line) ?? [];
  const value = encoded === undefined ? undefined : decoded(() => fromBase64(encoded), "a signature");
  if (name === undefined || value === undefined || value.length <= ID_BYTES) {
    throw new NoteInvalid("a signature line is a dash, a name, and an id of 4 bytes with the signature in base64");
  }
  return { name, keyId: value.slice(0, ID_BYTES), value: value.slice(ID_BYTES) };
}

function decoded(decode: () => Bytes, what: string): Bytes {
  try {
    return decode();
  } catch (error) {
    if (error instanceof SyntaxError) throw new NoteInvalid(`${what} cannot be read: ${error.message}`);
    throw error;
  }
}

/** Returns a root as people compare it. */
export function rootText(checkpoint: Checkpoint): string {
  return toBase64(checkpoint.root);
}
