import { expect, test } from "vitest";
import { diff, hunks } from "./diff";

function marks(before: string, after: string): string[] {
  const sign = { same: " ", added: "+", removed: "-" };
  return diff(before, after).map((line) => sign[line.kind] + line.text);
}

/** Applies what `diff` tells, backwards and forwards. */
function sides(before: string, after: string): string[] {
  const lines = diff(before, after);
  const old = lines.filter((line) => line.kind !== "added").map((line) => line.text);
  const young = lines.filter((line) => line.kind !== "removed").map((line) => line.text);
  return [old.join("\n"), young.join("\n")];
}

test("a changed line is told as removed and added, between those that stay", () => {
  expect(marks("a\nb\nc\n", "a\nB\nc\n")).toEqual([" a", "-b", "+B", " c"]);
});

test("same texts differ nowhere, and an empty one in every line", () => {
  expect(marks("a\nb\n", "a\nb\n")).toEqual([" a", " b"]);
  expect(marks("", "a\nb\n")).toEqual(["+a", "+b"]);
  expect(marks("a\nb\n", "")).toEqual(["-a", "-b"]);
});

test("lines are numbered in each text", () => {
  expect(diff("a\nb", "b\nc").map((line) => [line.kind, line.old, line.new])).toEqual([
    ["removed", 1, 0],
    ["same", 2, 1],
    ["added", 0, 2],
  ]);
});

test("whatever differs, both texts are in what is told, and as few edits as there can be for small ones", () => {
  let seed = 7;
  const random = (below: number) => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return seed % below;
  };
  for (let round = 0; round < 300; round += 1) {
    const [before, after] = [0, 1].map(() => Array.from({ length: random(12) }, () => "abc"[random(3)]).join("\n"));
    expect(sides(before ?? "", after ?? "")).toEqual([before, after]);
  }
});

test("texts that have nothing in common and are long are told as replaced", () => {
  const text = (word: string) => Array.from({ length: 1500 }, (_, line) => `${word} ${line}`).join("\n");
  expect(sides(text("old"), text("new"))).toEqual([text("old"), text("new")]);
});

test("lines far from any change are left out, once between two changes", () => {
  const before = Array.from({ length: 30 }, (_, line) => `line ${line}`);
  const after = before.with(2, "two").with(27, "twenty-seven");
  const shown = hunks(diff(before.join("\n"), after.join("\n")), 1);
  expect(shown.map((line) => line?.text)).toEqual([
    undefined,
    "line 1",
    "line 2",
    "two",
    "line 3",
    undefined,
    "line 26",
    "line 27",
    "twenty-seven",
    "line 28",
  ]);
});
