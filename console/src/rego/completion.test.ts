import { beforeEach, expect, test } from "vitest";
import { offered } from "./completion";
import { outlineOf } from "./outline";
import { Project } from "./project";

const POLICY = `# METADATA
# title: Doors
# schemas:
#   - input: schema.input.doors
package ztfm.doors

import data.data.limits
import data.ztfm.lib.subject as who

default allow := false

allow if who.known

open_to(person) if person == "ada"
`;

const files = new Map([
  ["ztfm/doors/policy.rego", POLICY],
  ["ztfm/doors/terms.rego", "package ztfm.doors\n\nterms contains 1 if input.action\n"],
  ["ztfm/doors/policy_test.rego", "package ztfm.doors_test\n\ntest_it if true\n"],
  ["ztfm/lib/subject/subject.rego", "package ztfm.lib.subject\n\nknown if input.subject\n"],
  ["data/limits/data.json", '{"trust": {"full": 0.7, "not a name": 1}, "usage_window_seconds": 60}'],
  [
    "schemas/input/doors.json",
    JSON.stringify({
      properties: {
        subject: {
          type: "object",
          properties: {
            id: { type: "string", description: "Who asks." },
            properties: { anyOf: [{ type: "object", properties: { status: { enum: ["active"] } } }, { type: "null" }] },
          },
        },
      },
    }),
  ],
]);

const project = new Project();
const policy = "ztfm/doors/policy.rego";

function labels(line: string, file = policy): string[] {
  return (offered(project, file, line)?.options ?? []).map((option) => option.label);
}

beforeEach(() => project.update(files));

test("a file is outlined: package, imports by their names, rules with arguments, schema", () => {
  const outline = outlineOf(POLICY);
  expect(outline.package).toBe("ztfm.doors");
  expect(outline.imports.map((one) => one.name)).toEqual(["limits", "who"]);
  expect(outline.rules.map((one) => [one.name, one.line, one.arguments])).toEqual([
    ["allow", 10, undefined],
    ["open_to", 14, "person"],
  ]);
  expect(outline.schema).toBe("doors");
});

test("members of what is imported are offered under the name that it has in the file", () => {
  expect(labels("\twho.")).toEqual(["known"]);
  expect(labels("\tlimits.")).toEqual(["trust", "usage_window_seconds"]);
  expect(labels("\tlimits.trust.f")).toEqual(["full"]);
});

test("the input of a package is offered to all of its files", () => {
  expect(labels("\tinput.")).toEqual(["subject"]);
  expect(labels("\tinput.subject.", "ztfm/doors/terms.rego")).toEqual(["id", "properties"]);
  expect(labels("\tinput.subject.properties.")).toEqual(["status"]);
  expect(labels("\tinput.subject.nothing.")).toEqual([]);
});

test("paths below data lead to packages and documents, and to no tests", () => {
  expect(labels("import data.")).toEqual(["ztfm", "data"]);
  expect(labels("import data.ztfm.")).toEqual(["doors", "lib"]);
  expect(labels("import data.data.")).toEqual(["limits"]);
});

test("words are keywords, imports, rules of the whole package and builtins, none that no policy may call", () => {
  const found = labels("\tal");
  for (const word of ["if", "limits", "allow", "terms", "count", "net.cidr_contains"]) expect(found).toContain(word);
  for (const word of ["http.send", "time.now_ns", "opa.runtime"]) expect(found).not.toContain(word);
});

test("builtins are offered below the first part of their names", () => {
  expect(labels("\ttime.cl")).toContain("clock");
  expect(labels("\ttime.cl")).not.toContain("now_ns");
});

test("nothing is offered in comments and strings", () => {
  expect(offered(project, policy, "# all")).toBeUndefined();
  expect(offered(project, policy, '\tx == "inp')).toBeUndefined();
  expect(labels('\tx == "a#b"; inp')).toContain("input");
});

test("what is written anew is offered at once", () => {
  project.update(new Map([...files, ["ztfm/doors/terms.rego", "package ztfm.doors\n\nfresh := 1\n"]]));
  expect(labels("\tfr")).toContain("fresh");
});
