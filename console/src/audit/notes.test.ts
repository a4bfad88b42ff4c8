/** A published signed note verifies, and nothing that differs from what was signed does. */

import { describe, expect, it } from "vitest";
import { toBase64 } from "./bytes";
import { NoteInvalid, parseCheckpoint, parseNote, parseVerifier, signedBy, timeOf } from "./notes";
import { flippedTexts, Signer } from "./testing";

/** The example of Go's golang.org/x/mod/sumdb/note, where the format comes from. */
const PUBLISHED_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const PUBLISHED_NOTE = `If you think cryptography is the answer to your problem,
then you don't know what your problem is.

— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
`;
const ROOT = toBase64(Uint8Array.from({ length: 32 }, (_, number) => number));
const CHECKPOINT = `ztfm.example/log\n17\n${ROOT}\n`;

/** Whether a note that may be none is signed by a key that may be none. */
async function isSigned(note: string, key: string): Promise<boolean> {
  try {
    return (await signedBy(parseNote(note), await parseVerifier(key))) !== undefined;
  } catch (error) {
    if (error instanceof NoteInvalid) return false;
    throw error;
  }
}

describe("a published note", { timeout: 60_000 }, () => {
  it("verifies", async () => {
    expect(await isSigned(PUBLISHED_NOTE, PUBLISHED_KEY)).toBe(true);
  });

  it("does not verify with any other bit", async () => {
    for (const wrong of flippedTexts(PUBLISHED_NOTE))
      expect([wrong, await isSigned(wrong, PUBLISHED_KEY)]).toEqual([wrong, false]);
  });

  it("does not verify with a key of any other bit", async () => {
    for (const wrong of flippedTexts(PUBLISHED_KEY))
      expect([wrong, await isSigned(PUBLISHED_NOTE, wrong)]).toEqual([wrong, false]);
  });

  it("has one spelling of its signature", async () => {
    // The last character of the base64 has bits that mean nothing.
    expect(await isSigned(PUBLISHED_NOTE.replace("wJnAM=", "wJnAN="), PUBLISHED_KEY)).toBe(false);
  });
});

describe("a witness's cosignature", { timeout: 60_000 }, async () => {
  const [witness, other] = [await Signer.create("org-b", 4), await Signer.create("org-b", 4)];
  const note = `${CHECKPOINT}\n${await witness.line(CHECKPOINT, 1_800_000_001)}`;

  it("says when", async () => {
    const found = await signedBy(parseNote(note), await parseVerifier(witness.text));
    expect(found && timeOf(found)).toBe(1_800_000_001);
  });

  it("holds for no other time, text or bit", async () => {
    for (const wrong of flippedTexts(note))
      expect([wrong, await isSigned(wrong, witness.text)]).toEqual([wrong, false]);
  });

  it("is not another's of the same name, nor a log's", async () => {
    expect(await isSigned(note, other.text)).toBe(false);
    const log = await Signer.create("org-b", 1);
    expect(await isSigned(note, log.text)).toBe(false);
  });
});

describe("a head that the control plane's own code signed", () => {
  const note = `${CHECKPOINT}
— ztfm.example/log ZZOndMuNIpRWFjS+sMauBwmM56Htsn90k6Glf9Os53++q7luZI4g/xgO8B/pF3qKxyk+dmVQ0XJWkjQOJ3c7aNvjHgc=
— org-b qBIjGgAAAABrSdIAa3E+mGPEa6yMiAmaKeJh+uUT5aBYX35Vz16MAkdIW2GuV6Amz+xD5pLbl3yX2nGWskTntq+DIVlgKcWnb72CCg==
`;

  it.each([
    "ztfm.example/log+6593a774+AXm1Vi6P5lT5QHixEuipi6eQH4U65pW+1+DjkQutBJZk",
    "org-b+a812231a+BAOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4",
  ])("verifies with the key %s", async (key) => {
    expect(await isSigned(note, key)).toBe(true);
    expect(await isSigned(note.replace("17", "18"), key)).toBe(false);
  });
});

describe("what is refused", () => {
  it.each([
    "",
    "text\n",
    "text\n\n",
    "text\n\n— name\n",
    "text\n\n— name AAAA\n",
    "text\n\n— name !!!!!!!!\n",
    "text\n\n— two words AAAAAAAA\n",
    "text\n\n- name AAAAAAAA\n",
    "text\n\n— name AAAAAAAA",
    "te\u0000xt\n\n— name AAAAAAAA\n",
    "te\ud800xt\n\n— name AAAAAAAA\n",
    `text\n\n${"— name AAAAAAAA\n".repeat(65)}`,
    `${"x".repeat(70_000)}\n\n— name AAAAAAAA\n`,
  ])("as a note: %j", (raw) => {
    expect(() => parseNote(raw)).toThrow(NoteInvalid);
  });

  it.each([
    "",
    "name",
    "name+c74f20a3",
    "name+c74f20a3+",
    "name+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    "PeterNeumann+c74f20a3+AhpC",
    "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
  ])("as a key: %j", async (text) => {
    await expect(parseVerifier(text)).rejects.toThrow(NoteInvalid);
  });

  it.each([
    "origin\n17\n",
    `origin\n017\n${ROOT}\n`,
    `origin\n-1\n${ROOT}\n`,
    `origin\n\u0661\u0667\n${ROOT}\n`,
    `origin\n99999999999999999999\n${ROOT}\n`,
    `origin\n9007199254740992\n${ROOT}\n`,
    "origin\n17\nAAEC\n",
    `origin\n17\n${ROOT.replace("8=", "9=")}\n`,
    `\n17\n${ROOT}\n`,
    `origin\n17\n${ROOT}`,
  ])("as a checkpoint: %j", (text) => {
    expect(() => parseCheckpoint(text)).toThrow(NoteInvalid);
  });

  it("are not lines that a later version adds", () => {
    expect(parseCheckpoint(`${CHECKPOINT}an extension\n`)).toEqual(parseCheckpoint(CHECKPOINT));
  });
});
