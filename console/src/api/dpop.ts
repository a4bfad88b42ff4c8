/** Requests that a key of this browser proves (DPoP, RFC 9449): each proof for one method and URL, used once. */

import { type Asked, ask, Refusal } from "./client";
import { publicJwk, sign } from "./keys";

const JTI_BYTES = 16;
const CHALLENGE = "use_dpop_nonce";

/** Returns a proof for one request to a path of this control plane. */
export async function prove(pair: CryptoKeyPair, method: string, path: string, nonce?: string): Promise<string> {
  const header = { typ: "dpop+jwt", alg: "ES256", jwk: await publicJwk(pair) };
  const claims = {
    jti: base64url(crypto.getRandomValues(new Uint8Array(JTI_BYTES))),
    htm: method,
    htu: new URL(path, location.origin).href,
    iat: Math.floor(Date.now() / 1000),
    ...(nonce === undefined ? {} : { nonce }),
  };
  const signed = `${segment(header)}.${segment(claims)}`;
  return `${signed}.${base64url(await sign(pair, signed))}`;
}

/** Asks with a proof, and once more with the nonce where the control plane wants one of its own. */
export async function callProven<T>(pair: CryptoKeyPair, method: string, path: string, asked: Asked = {}): Promise<T> {
  let nonce: string | undefined;
  for (;;) {
    const headers = { ...asked.headers, DPoP: await prove(pair, method, path, nonce) };
    try {
      return (await (await ask(method, path, { ...asked, headers })).json()) as T;
    } catch (error) {
      const given = nonceAskedFor(error);
      if (given === undefined || nonce !== undefined) throw error;
      nonce = given;
    }
  }
}

function nonceAskedFor(error: unknown): string | undefined {
  if (!(error instanceof Refusal) || !error.isSignedOut) return undefined;
  const isAsked = (error.headers.get("WWW-Authenticate") ?? "").includes(CHALLENGE);
  return isAsked ? (error.headers.get("DPoP-Nonce") ?? undefined) : undefined;
}

function segment(value: unknown): string {
  return base64url(new TextEncoder().encode(JSON.stringify(value)));
}

export function base64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}
