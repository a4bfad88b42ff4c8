/** The editor's own parts: language, completion, keys, signs, and colours by class. */

import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { bracketMatching, indentOnInput, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { type Diagnostic, lintGutter, setDiagnostics } from "@codemirror/lint";
import { highlightSelectionMatches, search, searchKeymap } from "@codemirror/search";
import { EditorState, type Extension, type Text } from "@codemirror/state";
import {
  drawSelection,
  EditorView,
  highlightActiveLine,
  highlightActiveLineGutter,
  highlightSpecialChars,
  keymap,
  lineNumbers,
  type ViewUpdate,
} from "@codemirror/view";
import { tagHighlighter, tags } from "@lezer/highlight";
import { completing } from "../../rego/completion";
import { json } from "../../rego/json";
import { rego } from "../../rego/mode";
import type { Project } from "../../rego/project";
import { coverage } from "./coverage";
import { isFixed } from "./drafts";
import type { Finding } from "./wire";

const COLOURS = tagHighlighter([
  { tag: tags.keyword, class: "tok-keyword" },
  { tag: tags.self, class: "tok-root" },
  { tag: tags.atom, class: "tok-atom" },
  { tag: tags.number, class: "tok-atom" },
  { tag: tags.string, class: "tok-string" },
  { tag: tags.comment, class: "tok-comment" },
  { tag: tags.standard(tags.variableName), class: "tok-builtin" },
  { tag: tags.definition(tags.variableName), class: "tok-definition" },
  { tag: tags.propertyName, class: "tok-property" },
  { tag: tags.namespace, class: "tok-namespace" },
  { tag: tags.invalid, class: "tok-invalid" },
]);

/** What the editor tells of. */
export interface Told {
  readonly onEdit: (text: string) => void;
}

/** Returns a state that edits one file. */
export function stateOf(path: string, text: string, project: Project, told: Told): EditorState {
  const isRego = path.endsWith(".rego");
  const language: Extension = isRego ? rego : path.endsWith(".json") ? json : [];
  return EditorState.create({
    doc: text,
    extensions: [
      EditorView.cspNonce.of(document.querySelector<HTMLMetaElement>('meta[name="csp-nonce"]')?.content ?? ""),
      EditorView.contentAttributes.of({
        tabindex: "0",
        "aria-label": `Text of ${path}`,
        "aria-describedby": "editor-keys",
      }),
      lintGutter(),
      coverage,
      lineNumbers(),
      highlightActiveLine(),
      highlightActiveLineGutter(),
      highlightSpecialChars(),
      drawSelection(),
      history(),
      indentOnInput(),
      indentUnit.of(isRego ? "\t" : "  "),
      EditorState.tabSize.of(4),
      bracketMatching(),
      closeBrackets(),
      search({ top: true }),
      highlightSelectionMatches(),
      language,
      EditorState.readOnly.of(isFixed(path)),
      syntaxHighlighting(COLOURS),
      autocompletion({ override: isRego ? [completing(project, () => path)] : [], icons: false }),
      keymap.of([
        ...closeBracketsKeymap,
        ...completionKeymap,
        ...searchKeymap,
        ...historyKeymap,
        ...defaultKeymap,
        indentWithTab,
      ]),
      EditorView.updateListener.of((update: ViewUpdate) => {
        if (update.docChanged) told.onEdit(update.state.doc.toString());
      }),
    ],
  });
}

/** Shows the findings of the file that is open. */
export function showFindings(view: EditorView, findings: readonly Finding[]): void {
  view.dispatch(
    setDiagnostics(
      view.state,
      findings.map((found) => diagnosticOf(view.state.doc, found)),
    ),
  );
}

/** Puts the cursor at a place, in sight. */
export function goTo(view: EditorView, line: number, column: number): void {
  const position = positionOf(view.state.doc, line, column);
  view.dispatch({ selection: { anchor: position }, effects: EditorView.scrollIntoView(position, { y: "center" }) });
  view.focus();
}

function diagnosticOf(doc: Text, found: Finding): Diagnostic {
  const from = positionOf(doc, found.line, found.column);
  const line = doc.lineAt(from);
  const word = /^[\w.]+/.exec(line.text.slice(from - line.from))?.[0].length ?? 1;
  const { severity, code, message, remedy } = found;
  return { from, to: Math.min(line.to, from + word), severity, source: code, message: `${message} ${remedy}` };
}

function positionOf(doc: Text, line: number, column: number): number {
  const found = doc.line(Math.min(Math.max(line, 1), doc.lines));
  return Math.min(found.to, found.from + Math.max(column - 1, 0));
}
