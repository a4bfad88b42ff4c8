/** JSON for the editor. */

import { StreamLanguage, type StreamParser } from "@codemirror/language";

interface State {
  depth: number;
}

export const jsonParser: StreamParser<State> = {
  name: "json",
  startState: () => ({ depth: 0 }),
  token(stream, state) {
    if (stream.eatSpace()) return null;
    if (stream.match(/^"(?:[^"\\]|\\.)*"?/)) return stream.match(/^\s*:/, false) ? "propertyName" : "string";
    if (stream.match(/^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/)) return "number";
    if (stream.match(/^(?:true|false|null)\b/)) return "atom";
    if (stream.match(/^[[{]/)) {
      state.depth += 1;
      return "bracket";
    }
    if (stream.match(/^[\]}]/)) {
      state.depth = Math.max(0, state.depth - 1);
      return "bracket";
    }
    return stream.next() === "," || stream.current() === ":" ? "punctuation" : "invalid";
  },
  indent(state, textAfter, context) {
    return Math.max(0, state.depth - (/^\s*[\]}]/.test(textAfter) ? 1 : 0)) * context.unit;
  },
  languageData: { closeBrackets: { brackets: ["[", "{", '"'] }, indentOnInput: /^\s*[\]}]$/ },
};

export const json = StreamLanguage.define(jsonParser);
