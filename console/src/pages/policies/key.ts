/** The key of this browser that signs policies: ES256, kept where no script can read its private part. */

import { type Bytes, fromText, sha256, toBase64 } from "../../audit/bytes";
import { read, remove, writeOnce } from "./keeping";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256" } as const;
const LINE = /.{1,64}/g;

export interface SigningKey {
  /** RFC 7638 thumbprint, as releases name it. */
  readonly id: string;
  /** The public part, as a trust folder holds it. */
  readonly pem: string;
  /** Returns a compact JWS over claims that are base64url already. */
  readonly sign: (claims: string) => Promise<string>;
}

/** Returns the key that a person has in this browser, if there is one. */
export async function signingKey(subject: string): Promise<SigningKey | undefined> {
  const pair = await read<CryptoKeyPair>("keys", subject);
  return pair === undefined ? undefined : usable(pair);
}

/** Makes a key for a person; one that is there stays. */
export async function makeSigningKey(subject: string): Promise<SigningKey> {
  const made = await crypto.subtle.generateKey(ALGORITHM, false, ["sign"]);
  return usable(await writeOnce("keys", subject, made));
}

/** Forgets a key for good. */
export function forgetSigningKey(subject: string): Promise<void> {
  return remove("keys", subject);
}

async function usable(pair: CryptoKeyPair): Promise<SigningKey> {
  const { x, y } = await crypto.subtle.exportKey("jwk", pair.publicKey);
  const spki = new Uint8Array(await crypto.subtle.exportKey("spki", pair.publicKey));
  const id = await thumbprint(x ?? "", y ?? "");
  return { id, pem: pemOf(spki), sign: (claims) => signed(pair.privateKey, id, claims) };
}

/** Returns the RFC 7638 thumbprint of a P-256 key. */
export async function thumbprint(x: string, y: string): Promise<string> {
  return base64url(await sha256(fromText(`{"crv":"P-256","kty":"EC","x":"${x}","y":"${y}"}`)));
}

function base64url(bytes: Bytes): string {
  return toBase64(bytes).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

function pemOf(spki: Bytes): string {
  const lines = toBase64(spki).match(LINE) ?? [];
  return `-----BEGIN PUBLIC KEY-----\n${lines.join("\n")}\n-----END PUBLIC KEY-----\n`;
}

async function signed(key: CryptoKey, id: string, claims: string): Promise<string> {
  const input = `${base64url(fromText(`{"alg":"ES256","kid":"${id}"}`))}.${claims}`;
  const signature = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, key, fromText(input));
  return `${input}.${base64url(new Uint8Array(signature))}`;
}
