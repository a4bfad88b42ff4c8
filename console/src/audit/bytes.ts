/** Bytes as they travel in text, read strictly: what has two spellings is refused in all but one of them. */

export type Bytes = Uint8Array<ArrayBuffer>;

export const HASH_BYTES = 32;

export function fromHex(text: string): Bytes {
  if (!/^([0-9a-f]{2})*$/.test(text)) throw new SyntaxError("it is not hexadecimal");
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

export function toHex(bytes: Bytes): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function fromBase64(text: string): Bytes {
  let found: Bytes;
  try {
    found = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    throw new SyntaxError("it is not base64");
  }
  if (toBase64(found) !== text) throw new SyntaxError("it is not base64 in its one form");
  return found;
}

export function toBase64(bytes: Bytes): string {
  return btoa(String.fromCharCode(...bytes));
}

/** Returns a text in UTF-8; one that has none (a lone surrogate) would otherwise pass for another. */
export function fromText(text: string): Bytes {
  if (/\p{Surrogate}/u.test(text)) throw new SyntaxError("it is no Unicode text");
  return new TextEncoder().encode(text) as Bytes;
}

export function joined(...parts: readonly Bytes[]): Bytes {
  const found = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    found.set(part, at);
    at += part.length;
  }
  return found;
}

export function areSame(one: Bytes, other: Bytes): boolean {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}

export async function sha256(...parts: readonly Bytes[]): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", joined(...parts)));
}
