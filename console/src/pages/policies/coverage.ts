/** Which lines the tests ran, in the editor: a sign in the gutter and a ground behind the line. */

import { type Extension, RangeSetBuilder, StateEffect, StateField, type Text } from "@codemirror/state";
import { Decoration, type DecorationSet, EditorView, GutterMarker, gutter } from "@codemirror/view";
import type { Covered, Span } from "./wire";

const COVERED = "covered";
const MISSED = "missed";

class Sign extends GutterMarker {
  readonly #kind: typeof COVERED | typeof MISSED;

  constructor(kind: typeof COVERED | typeof MISSED) {
    super();
    this.#kind = kind;
  }

  override toDOM(): Node {
    const sign = document.createElement("span");
    sign.className = `sign ${this.#kind}`;
    sign.textContent = this.#kind === COVERED ? "✓" : "✗";
    sign.title = this.#kind === COVERED ? "A test ran this line." : "No test ran this line.";
    return sign;
  }
}

const SIGNS = { [COVERED]: new Sign(COVERED), [MISSED]: new Sign(MISSED) } as const;
const GROUNDS = {
  [COVERED]: Decoration.line({ class: "cm-covered" }),
  [MISSED]: Decoration.line({ class: "cm-missed" }),
} as const;

/** Shows what is covered of the text as it is; nothing where none is given. */
export const showCoverage = StateEffect.define<Covered | undefined>();

const shown = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(lines, transaction) {
    const told = transaction.effects.find((effect) => effect.is(showCoverage));
    if (told !== undefined) return painted(transaction.state.doc, told.value);
    return lines.map(transaction.changes);
  },
  provide: (field) => EditorView.decorations.from(field),
});

const signs = gutter({
  class: "cm-coverage",
  lineMarker(view, line) {
    let found: GutterMarker | null = null;
    view.state.field(shown).between(line.from, line.from, (_from, _to, ground) => {
      found = ground === GROUNDS[COVERED] ? SIGNS[COVERED] : SIGNS[MISSED];
    });
    return found;
  },
  lineMarkerChange: (update) => update.startState.field(shown) !== update.state.field(shown),
});

/** What an editor needs for it. */
export const coverage: Extension = [shown, signs];

function painted(doc: Text, covered: Covered | undefined): DecorationSet {
  const builder = new RangeSetBuilder<Decoration>();
  if (covered === undefined) return builder.finish();
  for (const [line, kind] of linesOf(covered)) {
    if (line <= doc.lines) builder.add(doc.line(line).from, doc.line(line).from, GROUNDS[kind]);
  }
  return builder.finish();
}

/** Returns each line that a test ran or missed, in order; one that was run in part is missed. */
export function linesOf(covered: Covered): [number, typeof COVERED | typeof MISSED][] {
  const lines = new Map<number, typeof COVERED | typeof MISSED>();
  const mark = (spans: readonly Span[], kind: typeof COVERED | typeof MISSED) => {
    for (const [from, to] of spans) {
      for (let line = from; line <= to; line += 1) lines.set(line, kind);
    }
  };
  mark(covered.covered, COVERED);
  mark(covered.not_covered, MISSED);
  return [...lines].sort(([one], [other]) => one - other);
}
