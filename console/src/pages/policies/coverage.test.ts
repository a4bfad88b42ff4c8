import { expect, test } from "vitest";
import { linesOf } from "./coverage";

test("lines are told in order, first and last of each span included", () => {
  expect(
    linesOf({
      covered: [
        [9, 10],
        [2, 2],
      ],
      not_covered: [[4, 5]],
    }),
  ).toEqual([
    [2, "covered"],
    [4, "missed"],
    [5, "missed"],
    [9, "covered"],
    [10, "covered"],
  ]);
});

test("a line that was run in part is not shown as covered", () => {
  expect(linesOf({ covered: [[1, 3]], not_covered: [[2, 2]] })).toEqual([
    [1, "covered"],
    [2, "missed"],
    [3, "covered"],
  ]);
});
