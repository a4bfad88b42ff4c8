import { StringStream } from "@codemirror/language";
import { expect, test } from "vitest";
import { jsonParser } from "./json";
import { regoParser } from "./mode";

/** Returns each token with what it is; blanks are left out. */
function tokens(text: string, parser = regoParser): string[][] {
  const state = parser.startState?.(4) ?? { within: [], depth: 0, path: false };
  return text.split("\n").map((line) => {
    const stream = new StringStream(line, 4, 4);
    const found: string[] = [];
    while (!stream.eol()) {
      stream.start = stream.pos;
      const kind = parser.token(stream, state as never);
      if (stream.pos === stream.start) throw new Error(`nothing was read at ${stream.pos} of ${line}`);
      if (stream.current().trim() !== "") found.push(`${stream.current()} ${kind}`);
    }
    return found;
  });
}

test("keywords, paths and heads of rules are told apart", () => {
  expect(tokens("package ztfm.inference")).toEqual([["package keyword", "ztfm.inference namespace"]]);
  expect(tokens('proven contains "a" if input.x')[0]).toEqual([
    "proven variableName.definition",
    "contains keyword",
    '"a" string',
    "if keyword",
    "input self",
    ". punctuation",
    "x propertyName",
  ]);
});

test("a builtin is one only where it is called", () => {
  expect(tokens("\tcount(x)")[0]?.[0]).toBe("count variableName.standard");
  expect(tokens("\tcount == 1")[0]?.[0]).toBe("count variableName");
  expect(tokens("\tnet.cidr_contains(a, b)")[0]?.[0]).toBe("net.cidr_contains variableName.standard");
  expect(tokens("\tlimits.count(x)")[0]?.[2]).toBe("count propertyName");
});

test("a raw string goes on over lines, and another one does not", () => {
  expect(tokens("`one\ntwo` x").flat()).toEqual(["` string", "one string", "two` string", "x variableName"]);
  expect(tokens('"one\ntwo').flat()).toEqual(['"one string', "two variableName.definition"]);
});

test("what a template holds between braces is code", () => {
  expect(tokens('x := $"a {input.b} c"')[0]?.slice(2)).toEqual([
    '$" string',
    "a  string",
    "{ bracket",
    "input self",
    ". punctuation",
    "b propertyName",
    "} bracket",
    ' c" string',
  ]);
});

test("a comment ends with its line", () => {
  expect(tokens("x := 1 # one\ny := 2.5e3").map((line) => line.at(-1))).toEqual(["# one comment", "2.5e3 number"]);
});

test("keys of JSON are not its strings", () => {
  expect(tokens('{"a": ["b", -1.5, true]}', jsonParser as never)[0]).toEqual([
    "{ bracket",
    '"a" propertyName',
    ": punctuation",
    "[ bracket",
    '"b" string',
    ", punctuation",
    "-1.5 number",
    ", punctuation",
    "true atom",
    "] bracket",
    "} bracket",
  ]);
});
