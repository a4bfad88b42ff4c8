import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Refusal } from "./client";
import { base64url, callProven, prove } from "./dpop";
import { makeKey, publicJwk } from "./keys";

const ORIGIN = "http://127.0.0.1:8181";

interface Sent {
  readonly method: string;
  readonly path: string;
  readonly proof: Record<string, unknown>;
}

/** Stands in for the network alone: what it answers, the test says; what came, it hears. */
function network(...answers: readonly Response[]): Sent[] {
  const sent: Sent[] = [];
  const left = [...answers];
  vi.stubGlobal("fetch", async (path: string, init: RequestInit) => {
    const proof = new Headers(init.headers).get("DPoP") ?? "";
    sent.push({ method: init.method ?? "", path, proof: read(proof.split(".")[1]) });
    return left.shift() ?? Response.error();
  });
  return sent;
}

function read(segment: string | undefined): Record<string, unknown> {
  return JSON.parse(Buffer.from(segment ?? "", "base64url").toString());
}

function challenge(nonce: string, error = "use_dpop_nonce"): Response {
  const headers = { "WWW-Authenticate": `DPoP error="${error}"`, "DPoP-Nonce": nonce };
  return new Response("{}", { status: 401, headers });
}

beforeEach(() => vi.stubGlobal("location", new URL(ORIGIN)));
afterEach(() => vi.unstubAllGlobals());

test("a proof is signed by the key that it names and made for one request", async () => {
  const pair = await makeKey();
  const [header, claims, signature] = (await prove(pair, "POST", "/v1/devices", "n-1")).split(".");
  expect(read(header)).toEqual({ typ: "dpop+jwt", alg: "ES256", jwk: await publicJwk(pair) });
  const said = read(claims);
  expect(said).toMatchObject({ htm: "POST", htu: `${ORIGIN}/v1/devices`, nonce: "n-1" });
  expect(Math.abs((said.iat as number) - Date.now() / 1000)).toBeLessThan(5);
  const holds = await crypto.subtle.verify(
    { name: "ECDSA", hash: "SHA-256" },
    pair.publicKey,
    Buffer.from(signature ?? "", "base64url"),
    new TextEncoder().encode(`${header}.${claims}`),
  );
  expect(holds).toBe(true);
});

test("no two proofs are alike", async () => {
  const pair = await makeKey();
  const proofs = await Promise.all(Array.from({ length: 20 }, () => prove(pair, "GET", "/v1/devices")));
  expect(new Set(proofs.map((proof) => read(proof.split(".")[1]).jti)).size).toBe(20);
});

test("the private half cannot be taken out", async () => {
  const { privateKey } = await makeKey();
  expect(privateKey.extractable).toBe(false);
  await expect(crypto.subtle.exportKey("jwk", privateKey)).rejects.toThrow();
});

test("a nonce that is asked for is sent once", async () => {
  const sent = network(challenge("n-1"), Response.json({ id: "dev-1" }));
  expect(await callProven(await makeKey(), "POST", "/v1/devices")).toEqual({ id: "dev-1" });
  expect(sent.map((one) => one.proof.nonce)).toEqual([undefined, "n-1"]);
  expect(sent[0]?.proof.jti).not.toBe(sent[1]?.proof.jti);
});

test("who asks for one nonce after another keeps nobody going", async () => {
  const sent = network(challenge("n-1"), challenge("n-2"), challenge("n-3"));
  await expect(callProven(await makeKey(), "POST", "/v1/devices")).rejects.toBeInstanceOf(Refusal);
  expect(sent).toHaveLength(2);
});

test("a refusal for another reason is not tried again", async () => {
  const sent = network(challenge("n-1", "invalid_token"));
  await expect(callProven(await makeKey(), "POST", "/v1/devices")).rejects.toBeInstanceOf(Refusal);
  expect(sent).toHaveLength(1);
});

test("bytes are written as JOSE has them", () => {
  expect(base64url(Uint8Array.of(0xfb, 0xff, 0xfe, 0))).toBe("-__-AA");
});
