import { expect, test } from "vitest";
import { changed, filesOf, isFixed, markOf, stillDifferent, whyNot, withChange } from "./drafts";

const files = filesOf({
  revision: "r",
  origin: "release",
  files: [
    { path: "a.rego", text: "a" },
    { path: "b.rego", text: "b" },
  ],
});

test("a text that is as it is in force is no change", () => {
  const changes = withChange(files, {}, "a.rego", "other");
  expect(changes).toEqual({ "a.rego": "other" });
  expect(withChange(files, changes, "a.rego", "a")).toEqual({});
});

test("a file that was never there is not deleted, and one that was is", () => {
  expect(withChange(files, { "c.rego": "c" }, "c.rego", null)).toEqual({});
  const changes = withChange(files, {}, "a.rego", null);
  expect([...changed(files, changes).keys()]).toEqual(["b.rego"]);
});

test("changes that are in force meanwhile are let go", () => {
  expect(stillDifferent(files, { "a.rego": "a", "b.rego": "new", "c.rego": null })).toEqual({ "b.rego": "new" });
});

test("files are marked by what became of them", () => {
  const changes = { "a.rego": null, "b.rego": "B", "c.rego": "c" };
  const marks = ["a.rego", "b.rego", "c.rego", "d.rego"].map((path) => markOf(files, changes, path));
  expect(marks).toEqual(["deleted", "changed", "new", undefined]);
});

test("paths lead neither out of the folder nor to files of other kinds", () => {
  for (const path of ["../a.rego", "/a.rego", "a//b.rego", "a/../b.rego", ".a.rego", "a.sh", "a.rego/", ""]) {
    expect(whyNot(files, path)).toMatch(/A path such as/);
  }
  expect(whyNot(files, "a.rego")).toMatch(/of that name/);
  expect(whyNot(files, "ztfm/extra/door/policy.rego")).toBe("");
});

test("hidden files are shown and not edited", () => {
  expect([".manifest", ".regal/config.yaml", "ztfm/a.b/policy.rego"].map(isFixed)).toEqual([true, true, false]);
});
