/** What is on the bench and not in force, line by line. */

import { useMemo } from "preact/hooks";
import { diff, hunks } from "./diff";
import { markOf } from "./drafts";
import { Shell } from "./shell";
import type { Workbench } from "./workbench";

/** With the bundle of a release, as it is downloaded. */
const IN_FORCE = [
  "mkdir in-force && tar -xOzf base.tar.gz source.tar | tar -x -C in-force",
  "diff -ru in-force my-policies",
];

const SIGNS = { same: " ", added: "+", removed: "−" } as const;
const SAID = { same: "", added: "added: ", removed: "removed: " } as const;

export function Changed({ bench }: { bench: Workbench }) {
  const paths = Object.keys(bench.changes.value).sort();
  if (paths.length === 0) return <p class="empty">Nothing differs from revision {bench.revision.value}.</p>;
  return (
    <>
      <p>
        {paths.length === 1 ? "One file differs" : `${paths.length} files differ`} from revision{" "}
        <code>{bench.revision.value}</code>. Changes are kept in this browser alone until they are published.
      </p>
      {paths.map((path) => (
        <FileDiff key={path} bench={bench} path={path} />
      ))}
      <Shell commands={IN_FORCE} />
    </>
  );
}

function FileDiff({ bench, path }: { bench: Workbench; path: string }) {
  const before = bench.files.value.get(path) ?? "";
  const after = bench.changes.value[path] ?? "";
  const lines = useMemo(() => hunks(diff(before, after)), [before, after]);
  return (
    <section class="diff" aria-label={`Changes of ${path}`}>
      <div class="part-head">
        <h3>
          {path} <span class="faint">{markOf(bench.files.value, bench.changes.value, path)}</span>
        </h3>
        <span>
          <button type="button" onClick={() => bench.open(path)} disabled={bench.changes.value[path] === null}>
            Open
          </button>{" "}
          <button type="button" onClick={() => bench.discard(path)} aria-label={`Discard the changes of ${path}`}>
            Discard
          </button>
        </span>
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by keyboard */}
      <div class="diff-lines mono" tabIndex={0}>
        {lines.map((line, index) =>
          line === undefined ? (
            <div key={`gap-${lines[index + 1]?.old}-${lines[index + 1]?.new}`} class="gap">
              …
            </div>
          ) : (
            <div key={`${line.old}-${line.new}`} class={line.kind}>
              <span class="number">{line.old || ""}</span>
              <span class="number">{line.new || ""}</span>
              <span aria-hidden="true">{SIGNS[line.kind]} </span>
              <span class="unseen">{SAID[line.kind]}</span>
              <span>{line.text}</span>
            </div>
          ),
        )}
      </div>
    </section>
  );
}
