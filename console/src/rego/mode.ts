/** Rego for the editor: what each token is, and how far the next line is indented. */

import type { StreamParser, StringStream } from "@codemirror/language";
import { StreamLanguage } from "@codemirror/language";
import { ATOMS, isBuiltin, KEYWORDS, ROOTS } from "./words";

/** What one is within; the innermost last. A template is a string with expressions in it. */
type Within = "raw" | "template" | "raw-template" | "expression";

export interface State {
  readonly within: Within[];
  depth: number;
  /** The keyword before, after which a name is a package's path. */
  path: boolean;
}

const NAME = /^[A-Za-z_]\w*/;
const DOTTED = /^[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*/;
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/;
const OPERATOR = /^(?::=|==|!=|<=|>=|[=<>+\-*/%&|])/;

export const regoParser: StreamParser<State> = {
  name: "rego",
  startState: () => ({ within: [], depth: 0, path: false }),
  copyState: (state) => ({ ...state, within: [...state.within] }),
  token(stream, state) {
    const atStart = stream.sol();
    if (atStart) state.path = false;
    const inner = state.within.at(-1);
    if (inner === "raw" || inner === "template" || inner === "raw-template") return inString(stream, state, inner);
    if (stream.eatSpace()) return null;
    return word(stream, state, atStart);
  },
  indent(state, textAfter, context) {
    const inner = state.within.at(-1);
    if (inner === "raw" || inner === "raw-template") return null;
    const closes = /^\s*[)\]}]/.test(textAfter) ? 1 : 0;
    return Math.max(0, state.depth - closes) * context.unit;
  },
  languageData: {
    commentTokens: { line: "#" },
    closeBrackets: { brackets: ["(", "[", "{", '"', "`"] },
    indentOnInput: /^\s*[)\]}]$/,
  },
};

export const rego = StreamLanguage.define(regoParser);

function word(stream: StringStream, state: State, atStart: boolean): string | null {
  if (stream.match("#")) {
    stream.skipToEnd();
    return "comment";
  }
  const text = string(stream, state);
  if (text !== null) return text;
  if (stream.match(NUMBER)) return "number";
  if (NAME.test(stream.string.slice(stream.pos))) return named(stream, state, atStart);
  if (stream.match(/^[([{]/)) {
    state.depth += 1;
    if (state.within.length > 0 && stream.current() === "{") state.within.push("expression");
    return "bracket";
  }
  if (stream.match(/^[)\]}]/)) return closed(stream, state);
  if (stream.match(OPERATOR)) return "operator";
  stream.next();
  return "punctuation";
}

function closed(stream: StringStream, state: State): string {
  state.depth = Math.max(0, state.depth - 1);
  if (stream.current() === "}" && state.within.at(-1) === "expression") state.within.pop();
  return "bracket";
}

function string(stream: StringStream, state: State): string | null {
  if (stream.match('$"')) {
    state.within.push("template");
    return "string";
  }
  if (stream.match("$`")) {
    state.within.push("raw-template");
    return "string";
  }
  if (stream.match("`")) {
    state.within.push("raw");
    return "string";
  }
  if (stream.match(/^"(?:[^"\\]|\\.)*"?/)) return "string";
  return null;
}

function inString(stream: StringStream, state: State, inner: Within): string {
  const end = inner === "template" ? '"' : "`";
  while (!stream.eol()) {
    if (inner === "template" && stream.match(/^\\./)) continue;
    if (inner !== "raw" && stream.peek() === "{") {
      if (stream.current() !== "") return "string";
      stream.next();
      state.depth += 1;
      state.within.push("expression");
      return "bracket";
    }
    if (stream.next() === end) {
      state.within.pop();
      return "string";
    }
  }
  // Unlike the others, a string in double quotes ends with its line.
  if (inner === "template") state.within.pop();
  return "string";
}

function named(stream: StringStream, state: State, atStart: boolean): string {
  const afterDot = stream.string[stream.start - 1] === ".";
  const rest = stream.string.slice(stream.pos);
  const dotted = DOTTED.exec(rest)?.[0] ?? "";
  if (state.path) {
    stream.match(dotted);
    state.path = false;
    return "namespace";
  }
  const name = NAME.exec(rest)?.[0] ?? "";
  if (!afterDot && isBuiltin(dotted) && /^\s*\(/.test(rest.slice(dotted.length))) {
    stream.match(dotted);
    return "variableName.standard";
  }
  stream.match(name);
  if (afterDot) return "propertyName";
  if (KEYWORDS.has(name)) {
    state.path = name === "package" || name === "import";
    return "keyword";
  }
  if (ATOMS.has(name)) return "atom";
  if (ROOTS.has(name)) return "self";
  return atStart ? "variableName.definition" : "variableName";
}
