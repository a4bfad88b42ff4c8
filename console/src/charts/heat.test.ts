import { expect, test } from "vitest";
import { heaviest } from "./heat";

test("the columns that are kept are those of which any row has most, the heaviest first", () => {
  const rows = [
    { name: "one", values: { a: 0.1, b: 0.6, c: 0.3 } },
    { name: "two", values: { a: -0.9, d: 0.05 } },
  ];
  expect(heaviest(rows, 3)).toEqual(["a", "b", "c"]);
  expect(heaviest(rows, 9)).toEqual(["a", "b", "c", "d"]);
  expect(heaviest([], 3)).toEqual([]);
});
