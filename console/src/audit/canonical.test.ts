import { describe, expect, it } from "vitest";
import { canonical, saysTheSame } from "./canonical";

describe("canonical JSON", () => {
  it("is that of RFC 8785's example", () => {
    const given = String.raw`{
      "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
      "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
      "literals": [null, true, false]
    }`;
    expect(canonical(JSON.parse(given))).toBe(
      String.raw`{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`,
    );
  });

  it("sorts members by UTF-16 code units, as RFC 8785's section 3.2.3 shows", () => {
    const given = { "\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\ud83d\ude00": 5, "\u0080": 6, "\u00f6": 7 };
    const order = [...canonical(given).matchAll(/:(\d)/g)].map((found) => Number(found[1]));
    expect(order).toEqual([2, 4, 6, 7, 1, 5, 3]);
  });

  it("has no text for what JSON has none for", () => {
    for (const wrong of [Number.NaN, Number.POSITIVE_INFINITY, undefined, { a: undefined }]) {
      expect(() => canonical(wrong)).toThrow(TypeError);
    }
  });
});

describe("two records say the same", () => {
  const recorded = { id: "dec-1", reasons: [{ code: "a" }], facts: { trust: 0.5, tags: [], watch: false } };

  it("whatever the order of their members, and with members that say nothing", () => {
    const shown = {
      facts: { watch: false, trust: 0.5, tags: [], hold: null },
      id: "dec-1",
      masked: [],
      reasons: [{ code: "a" }],
    };
    expect(saysTheSame(recorded, shown)).toBe(true);
  });

  it.each([
    { ...recorded, id: "dec-2" },
    { ...recorded, more: "words" },
    { ...recorded, more: 0 },
    { ...recorded, reasons: [] },
    { ...recorded, reasons: [{ code: "a" }, { code: "b" }] },
    { ...recorded, facts: { trust: 0.5000001, tags: [], watch: false } },
    { ...recorded, facts: { trust: "0.5", tags: [], watch: false } },
    { ...recorded, facts: { trust: 0.5, tags: {}, watch: false } },
    { ...recorded, facts: { trust: 0.5, tags: [], watch: null } },
    { id: "dec-1", reasons: [{ code: "a" }] },
    [recorded],
    null,
  ])("but not where one says something else: %j", (shown) => {
    expect(saysTheSame(recorded, shown)).toBe(false);
  });
});
