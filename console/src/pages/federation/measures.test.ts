import { expect, test } from "vitest";
import { dotsOf, layersOf, measured, measuresOf } from "./measures";
import type { Update } from "./types";

function update(changes: Partial<Update>): Update {
  return {
    round_id: "r-1",
    subject: "dev-1",
    submitted: 1,
    outcome: "allow",
    decision_id: "dec-1",
    time: 1,
    reasons: [],
    state: "watched",
    p_value: 0.5,
    e_value: 1,
    trust: null,
    evidence: { update_digest: "sha256:0", layer_shares: { head: 0.75, body: 0.25 }, layer_cosines: null, cosine: 0.8 },
    attribution: null,
    ...changes,
  };
}

test("a measure that was not taken is no number, and is not offered", () => {
  expect(measured(update({}), "innovation")).toBeUndefined();
  expect(measured(update({ evidence: null }), "cosine")).toBeUndefined();
  expect(measured(update({}), "layer_shares")).toBeUndefined();
  expect(measuresOf([update({})])).toEqual(["cosine", "p_value", "e_value"]);
});

test("dots begin with the earliest round, and leave out rounds without the measure", () => {
  const later = update({ round_id: "r-3", outcome: "deny", evidence: null });
  const found = dotsOf([later, update({ round_id: "r-2" }), update({})], "cosine");
  expect(found.map((dot) => dot.name)).toEqual(["r-1", "r-2"]);
  expect(dotsOf([later], "p_value")).toEqual([
    { name: "r-3", value: 0.5, expected: undefined, isBad: true, word: "refused" },
  ]);
});

test("what peers had stands beside a measure that a verdict names", () => {
  const features = [{ name: "cosine", share: 1, value: -0.9, expected: 0.7 }];
  const attribution = {
    features,
    layers: [],
    attack: "sign_flip",
    confidence: 1,
    atlas: null,
    owasp: null,
    sentence: "",
  };
  expect(dotsOf([update({ attribution })], "cosine")[0]?.expected).toBe(0.7);
  expect(dotsOf([update({ attribution })], "p_value")[0]?.expected).toBeUndefined();
});

test("layers are rows by device or by round, of those updates alone that were measured", () => {
  const updates = [update({}), update({ subject: "dev-2", evidence: null })];
  expect(layersOf(updates, "subject", "layer_shares")).toEqual([
    { name: "dev-1", values: { head: 0.75, body: 0.25 }, isBad: false },
  ]);
  expect(layersOf(updates, "round_id", "layer_cosines")).toEqual([]);
});
