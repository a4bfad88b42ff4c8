import { webcrypto } from "node:crypto";
import { expect, test } from "vitest";
import { thumbprint } from "./key";

test("a key is named by its thumbprint as RFC 7638 has it", async () => {
  const pair = await webcrypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, ["sign"]);
  const { x, y } = await webcrypto.subtle.exportKey("jwk", pair.publicKey);
  const canonical = JSON.stringify({ crv: "P-256", kty: "EC", x, y });
  const digest = await webcrypto.subtle.digest("SHA-256", Buffer.from(canonical));
  expect(await thumbprint(x ?? "", y ?? "")).toBe(Buffer.from(digest).toString("base64url"));
});
