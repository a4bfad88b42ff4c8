/** The editor of the open file. */

import { EditorView } from "@codemirror/view";
import { useEffect, useRef } from "preact/hooks";
import { showCoverage } from "./coverage";
import { goTo, showFindings, stateOf } from "./editing";
import type { Workbench } from "./workbench";

export function Editor({ bench, path }: { bench: Workbench; path: string }) {
  const place = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(undefined);
  const text = bench.all.value.get(path) ?? "";
  const findings = bench.findings.value;
  const going = bench.goingTo.value;
  const tested = bench.tested.value;
  const covered = bench.showsCoverage.value && bench.isCurrent(tested) ? tested?.answer.coverage[path] : undefined;

  useEffect(() => {
    if (place.current === null) return;
    const told = { onEdit: (edited: string) => bench.edit(path, edited) };
    const state = stateOf(path, bench.all.value.get(path) ?? "", bench.project, told);
    const editor = new EditorView({ state, parent: place.current });
    view.current = editor;
    return () => editor.destroy();
  }, [bench, path]);

  useEffect(() => {
    const editor = view.current;
    // Of now, not of when this was drawn: who types is faster.
    const now = bench.all.value.get(path) ?? "";
    // It was discarded, or other files came into force.
    if (editor !== undefined && editor.state.doc.toString() !== now) {
      editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: now } });
    }
  }, [bench, path, text]);

  useEffect(() => {
    if (view.current === undefined) return;
    showFindings(
      view.current,
      findings.filter((found) => found.path === path),
    );
  }, [findings, path]);

  useEffect(() => {
    view.current?.dispatch({ effects: showCoverage.of(covered) });
  }, [covered, path]);

  useEffect(() => {
    if (view.current === undefined || going?.path !== path) return;
    goTo(view.current, going.line, going.column);
    bench.goingTo.value = undefined;
  }, [bench, going, path]);

  return <div class="editor" ref={place} />;
}
