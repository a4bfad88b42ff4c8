/** What is done with the open file, and with files that are not there yet. */

import { useState } from "preact/hooks";
import { isFixed, markOf, whyNot } from "./drafts";
import type { Workbench } from "./workbench";

/** The head over the editor. */
export function FileHead({ bench, path }: { bench: Workbench; path: string }) {
  const mark = markOf(bench.files.value, bench.changes.value, path);
  return (
    <div class="part-head file-head">
      <h2>
        <span class="mono">{path}</span> {isFixed(path) ? <span class="faint">is not edited here</span> : null}
        {mark === undefined ? null : <span class="mark">{mark}</span>}
      </h2>
      <span class="line">
        <button type="button" onClick={() => bench.discard(path)} disabled={mark === undefined}>
          Discard its changes
        </button>
        <button type="button" onClick={() => bench.edit(path, null)} disabled={mark === "deleted" || isFixed(path)}>
          Delete the file
        </button>
      </span>
    </div>
  );
}

/** Makes a file. */
export function NewFile({ bench }: { bench: Workbench }) {
  const [path, setPath] = useState("");
  const [tried, setTried] = useState(false);
  const why = whyNot(bench.all.value, path);
  const make = (event: Event) => {
    event.preventDefault();
    setTried(true);
    if (why !== "") return;
    bench.edit(path, textOf(path));
    bench.open(path);
    setPath("");
    setTried(false);
  };
  return (
    <details class="new-file">
      <summary>New file</summary>
      <form onSubmit={make}>
        <label>
          Its path{" "}
          <input
            class="mono"
            value={path}
            placeholder="ztfm/extra/door/policy.rego"
            spellcheck={false}
            aria-invalid={tried && why !== ""}
            aria-describedby="new-file-why"
            onInput={(event) => setPath(event.currentTarget.value.trim())}
          />
        </label>
        <button type="submit">Make</button>
        <p id="new-file-why" role="status">
          {tried ? why : ""}
        </p>
      </form>
    </details>
  );
}

function textOf(path: string): string {
  if (!path.endsWith(".rego")) return "{}\n";
  const folder = path.split("/").slice(0, -1).join(".") || "ztfm";
  if (path.endsWith("_test.rego")) return `package ${folder}_test\n\nimport data.${folder}\n`;
  return `# METADATA\n# title: \n# description: \npackage ${folder}\n`;
}
