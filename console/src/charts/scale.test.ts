import { expect, test } from "vitest";
import { placeOn, scaleOf, shortly } from "./scale";

test("a scale holds every value between round numbers", () => {
  const scale = scaleOf([0.13, 0.87, 0.4]);
  expect(scale.low).toBeLessThanOrEqual(0.13);
  expect(scale.high).toBeGreaterThanOrEqual(0.87);
  expect(scale.ticks).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
});

test("equal values, none, and those that are no numbers have a scale of some width", () => {
  for (const values of [[3, 3], [], [Number.NaN], [0], [-2.5]]) {
    const scale = scaleOf(values);
    expect(scale.high).toBeGreaterThan(scale.low);
    expect(scale.ticks.length).toBeGreaterThan(1);
  }
});

test("a value lies at its share of the way", () => {
  const scale = { low: -1, high: 1, ticks: [-1, 1] };
  expect([-1, 0, 1].map((value) => placeOn(scale, value))).toEqual([0, 0.5, 1]);
});

test("numbers have three digits that matter, and very large and small ones a power", () => {
  expect([0, 12, 0.123456, 1234.56, 0.00004, 1e12].map(shortly)).toEqual([
    "0",
    "12",
    "0.123",
    "1230",
    "4.0e-5",
    "1.0e+12",
  ]);
  expect(shortly(Number.NaN)).toBe("none");
});
