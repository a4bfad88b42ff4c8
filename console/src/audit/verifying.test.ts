/** The whole proof, as a page checks it: what holds, and that nothing holds that was changed anywhere. */

import { describe, expect, it, vi } from "vitest";
import type { KnownLog } from "./known";
import type { RecordProof } from "./proof";
import { flippedTexts, Log, Signer } from "./testing";
import { type Evidence, type Verified, verify } from "./verifying";

const log = await Log.of(11);
const proof = await log.proof(4, 9);

function trusted(changes: Partial<KnownLog> = {}): KnownLog {
  return { keys: log.keys, since: 0, isCompared: true, head: null, ...changes };
}

function shown(number: number): unknown {
  return { ...JSON.parse(log.records[number] as string), masked: [], seconds: null };
}

function look(changes: Partial<Evidence> = {}): Promise<Verified> {
  const grew = (earlier: number, later: number) => log.grew(earlier, later);
  return verify({ id: "dec-4", shown: shown(4), proof, keys: log.keys, known: trusted(), grew, now: 1, ...changes });
}

async function brokenSteps(changes: Partial<Evidence>): Promise<string[]> {
  const found = await look(changes);
  const broken = found.steps.filter((step) => step.verdict === "broken").map((step) => step.name);
  expect(found.outcome).toBe("broken");
  return broken;
}

describe("an honest log", () => {
  it("is verified, step by step, and its head is remembered", async () => {
    const found = await look();
    expect(found.steps.map((step) => [step.name, step.verdict])).toEqual([
      ["The record is the one that was logged", "holds"],
      ["This page shows that record", "holds"],
      ["The entry is in the log", "holds"],
      ["The head is signed by the log", "holds"],
      ["Witnesses signed the head too", "holds"],
      ["The keys are those that this browser knows", "holds"],
      ["The log only grew since this browser last looked", "open"],
    ]);
    expect(found.outcome).toBe("holds");
    expect(found.known.head?.size).toBe(9);
  });

  it("is verified against the head that was seen last, later or earlier", async () => {
    const first = await look();
    for (const size of [9, 11, 6]) {
      const found = await look({ known: first.known, proof: await log.proof(4, size) });
      expect(found.outcome).toBe("holds");
      expect(found.known.head?.size).toBe(Math.max(size, 9));
    }
  });

  it("whose keys nobody compared is not said to be verified", async () => {
    const found = await look({ known: undefined });
    expect(found.outcome).toBe("uncompared");
    expect(found.known).toMatchObject({ keys: log.keys, isCompared: false, head: { size: 9 } });
    expect((await look({ known: found.known })).outcome).toBe("uncompared");
  });

  it("that cannot be asked whether it grew is not said to be verified, and its head not remembered", async () => {
    const first = await look();
    const found = await look({ known: first.known, proof: await log.proof(4, 11), grew: async () => undefined });
    expect([found.outcome, found.known.head?.size]).toEqual(["open", 9]);
  });
});

describe("a browser that knows no Ed25519", () => {
  it("says that it could not verify, and remembers no head", async () => {
    // A stand-in for an older browser: the key is the first thing that it refuses.
    const refused = vi.spyOn(crypto.subtle, "importKey");
    refused.mockRejectedValue(new DOMException("Unrecognized name.", "NotSupportedError"));
    const found = await look().finally(() => refused.mockRestore());
    const open = found.steps.filter((step) => step.verdict === "open").map((step) => step.name);
    expect(open).toContain("The head is signed by the log");
    expect([found.outcome, found.known.head]).toEqual(["open", null]);
  });
});

describe("a proof that was changed", () => {
  const asText = JSON.stringify(proof);

  it("in any one bit of any character is refused", { timeout: 60_000 }, async () => {
    let refused = 0;
    for (const wrong of flippedTexts(asText)) {
      let document: unknown;
      try {
        document = JSON.parse(wrong);
      } catch {
        continue;
      }
      const found = await look({ proof: document });
      expect([wrong, found.outcome]).toEqual([wrong, "broken"]);
      expect(found.known.head).toBeNull();
      refused += 1;
    }
    expect(refused).toBeGreaterThan(4000);
  });

  it("is told by what is wrong with it", async () => {
    const hashes = [...proof.hashes].reverse();
    const cases: [Partial<RecordProof>, string][] = [
      [{ record: proof.record.replace("deny", "also") }, "The record is the one that was logged"],
      [{ hashes }, "The entry is in the log"],
      [{ place: 5 }, "The entry is in the log"],
      [{ hashes: [] }, "The entry is in the log"],
      [{ checkpoint: "no note" }, "The head of the log can be read"],
      [{ salt: "short" }, "The proof can be read"],
    ];
    for (const [change, name] of cases) expect(await brokenSteps({ proof: { ...proof, ...change } })).toContain(name);
    expect(await brokenSteps({ proof: { ...proof, more: 1 } })).toEqual(["The proof can be read"]);
    expect(await brokenSteps({ proof: null })).toEqual(["The proof can be read"]);
  });
});

describe("a control plane that lies", () => {
  it("about what the record says is found", async () => {
    expect(await brokenSteps({ shown: shown(3) })).toEqual(["This page shows that record"]);
    expect(await brokenSteps({ proof: await log.proof(3, 9) })).toEqual(["This page shows that record"]);
  });

  it("with another key is found, even where it names that key", async () => {
    const forged = await Log.of(11, (number) => `allow ${number}`);
    const changes = {
      proof: await forged.proof(4, 9),
      keys: forged.keys,
      shown: JSON.parse(forged.records[4] as string),
    };
    expect(await brokenSteps(changes)).toEqual([
      "The head is signed by the log",
      "Witnesses signed the head too",
      "The keys are those that this browser knows",
    ]);
  });

  it("that wants no witness any more is found", async () => {
    const keys = { ...log.keys, needed: 0 };
    expect(await brokenSteps({ keys })).toEqual(["The keys are those that this browser knows"]);
  });

  it("that rewrote its history with its own key and a witness is found by who saw the last head", async () => {
    const other = await Log.signedBy(log.signer, log.witness, 11, (number) =>
      number === 2 ? "allow" : `deny ${number}`,
    );
    const grew = (earlier: number, later: number) => other.grew(earlier, later);
    const known = (await look()).known;
    for (const size of [9, 11, 7]) {
      const changes = { known, grew, proof: await other.proof(4, size) };
      expect(await brokenSteps(changes)).toEqual(["The log only grew since this browser last looked"]);
      expect((await look(changes)).known.head).toEqual(known.head);
    }
  });

  it("whose witness is missing, or stands in twice, is found", async () => {
    const witness = proof.checkpoint.split("\n").findLast((line) => line.startsWith("—"));
    const without = proof.checkpoint.replace(`${witness}\n`, "");
    expect(await brokenSteps({ proof: { ...proof, checkpoint: without } })).toEqual(["Witnesses signed the head too"]);
    const keys = { ...log.keys, witnesses: [log.witness.text, (await Signer.create("org-c", 4)).text], needed: 2 };
    const twice = `${proof.checkpoint}${witness}\n`;
    const changes = { keys, known: trusted({ keys }), proof: { ...proof, checkpoint: twice } };
    expect(await brokenSteps(changes)).toEqual(["Witnesses signed the head too"]);
  });
});
