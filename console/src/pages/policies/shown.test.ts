import { expect, test } from "vitest";
import { foldersOf, inSight } from "./shown";

const PATHS = ["ztfm/b/policy.rego", "README.json", "ztfm/a/x.rego", "ztfm/a/c/y.rego", "data/limits/data.json"];

function names(open: string[] | "all", looked = ""): string[] {
  return inSight(PATHS, open === "all" ? open : new Set(open), looked).map(
    (node) => `${"  ".repeat(node.level - 1)}${node.name}`,
  );
}

test("closed folders hide what is in them, and folders come before files", () => {
  expect(names([])).toEqual(["data", "ztfm", "README.json"]);
  expect(names(["ztfm"])).toEqual(["data", "ztfm", "  a", "  b", "README.json"]);
  expect(names(["ztfm", "ztfm/a"])).toEqual(["data", "ztfm", "  a", "    c", "    x.rego", "  b", "README.json"]);
});

test("an open folder within a closed one is not in sight", () => {
  expect(names(["ztfm/a"])).toEqual(["data", "ztfm", "README.json"]);
});

test("what is looked for is shown with its folders", () => {
  expect(names("all", "C/Y.REGO")).toEqual(["ztfm", "  a", "    c", "      y.rego"]);
});

test("a path lies in each of its folders", () => {
  expect(foldersOf("a/b/c.rego")).toEqual(["a", "a/b"]);
});
