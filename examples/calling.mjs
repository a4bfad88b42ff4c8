// Call a guarded endpoint without the SDK, and without any package: Node.js 20 or later.
//
//   ztfm tokens issue --role consumer --segment homes |
//     node examples/calling.mjs keys/other.pem http://127.0.0.1:8181 http://127.0.0.1:8080/v1/infer
//
// The first run makes a key and enrols it with the token; from then on the key is enough (`< /dev/null`).

import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, randomUUID, sign } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import process from "node:process";

const [file, controlPlane, endpoint] = process.argv.slice(2);
const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** A DPoP proof (RFC 9449) of `key` for one request; with `token`, for that token alone. */
function prove(key, method, url, token) {
  const { kty, crv, x, y } = createPublicKey(key).export({ format: "jwk" });
  const ath = token && createHash("sha256").update(token).digest("base64url");
  const claims = { jti: randomUUID(), htm: method, htu: url, iat: Math.floor(Date.now() / 1000), ath };
  const signed = `${encode({ typ: "dpop+jwt", alg: "ES256", jwk: { kty, crv, x, y } })}.${encode(claims)}`;
  return `${signed}.${sign("sha256", Buffer.from(signed), { key, dsaEncoding: "ieee-p1363" }).toString("base64url")}`;
}

/** POST JSON with a fresh proof; the answer's body, or an error with the problem's cause and remedies. */
async function post(key, url, body, token) {
  const headers = { "Content-Type": "application/json", DPoP: prove(key, "POST", url, token) };
  if (token) headers.Authorization = `DPoP ${token}`;
  const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(body), signal: AbortSignal.timeout(10_000) });
  const told = await answer.json();
  if (answer.ok) return told;
  const missing = (told.reasons ?? []).map((reason) => `${reason.code}: ${reason.remedy}`);
  const wrong = (told.errors ?? []).map((error) => `${error.pointer}: ${error.detail}`);
  throw new Error([`${answer.status} ${told.title}`, told.detail, ...missing, ...wrong].filter(Boolean).join("\n  "));
}

async function enrolled() {
  if (existsSync(file)) return createPrivateKey(readFileSync(file));
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  process.stdin.setEncoding("utf8");
  const token = (await process.stdin.toArray()).join("").trim();
  await post(privateKey, `${controlPlane}/v1/devices`, { token, roles: ["consumer"], segment: "homes" });
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  writeFileSync(file, privateKey.export({ type: "pkcs8", format: "pem" }), { mode: 0o600 });
  return privateKey;
}

try {
  const key = await enrolled();
  const capability = await post(key, `${controlPlane}/v1/capabilities`, {
    action: "inference",
    resource: { type: "model", id: "smart-home-intents" },
    audience: "gateway-1",
    context: { inference: { prompt_tokens: 4, max_output_tokens: 1 } },
  });
  console.log(JSON.stringify(await post(key, endpoint, { text: "turn the light on" }, capability.access_token)));
} catch (error) {
  console.error(`calling: ${error.message}`);
  process.exitCode = 1;
}
