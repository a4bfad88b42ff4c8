/** The workbench: files, editor, and what is found out about them. */

import { useEffect, useRef, useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { get } from "../../api/client";
import { useSoon } from "../../api/fresh";
import { Refused } from "../../ui/parts";
import { Changed } from "./changes";
import { Editor } from "./editor";
import { Evaluating } from "./evaluating";
import { FileHead, NewFile } from "./files";
import { Findings, goToNext } from "./findings";
import { Publishing } from "./publishing";
import { Replaying } from "./replaying";
import { Tabs } from "./tabs";
import { Testing } from "./testing";
import { Tree } from "./tree";
import type { Finding, Standing } from "./wire";
import { useWork } from "./work";
import type { Workbench } from "./workbench";

export function Bench({ bench, subject }: { bench: Workbench; subject: string }) {
  const { query } = useLocation();
  const [tab, setTab] = useState(query.decision ? "evaluate" : "findings");
  const [isPublishing, setPublishing] = useState(false);
  const last = useRef<Finding>(undefined);
  const path = bench.path.value;
  const count = Object.keys(bench.changes.value).length;
  const tabs = [
    { id: "findings", title: `Findings (${bench.findings.value.length})`, panel: () => <Findings bench={bench} /> },
    { id: "changes", title: `Changes (${count})`, panel: () => <Changed bench={bench} /> },
    { id: "tests", title: "Tests", panel: () => <Testing bench={bench} /> },
    { id: "evaluate", title: "Evaluate", panel: () => <Evaluating bench={bench} first={query.decision ?? ""} /> },
    { id: "replay", title: "Replay", panel: () => <Replaying bench={bench} /> },
  ];
  const onKey = (event: KeyboardEvent) => {
    if (event.key !== "F8") return;
    event.preventDefault();
    last.current = goToNext(bench, last.current, event.shiftKey ? -1 : 1);
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: a key for all of it, told in words; each finding is a button, too
    <div class="bench" onKeyDown={onKey}>
      <Notices bench={bench} />
      <aside aria-label="Files">
        <div class="bench-acts">
          <button type="button" class="main" onClick={() => setPublishing(true)} disabled={count === 0}>
            Publish …
          </button>
          <button
            type="button"
            disabled={count === 0}
            onClick={() => {
              if (confirm(`Discard the changes of ${count} files?`)) bench.discard();
            }}
          >
            Discard all
          </button>
        </div>
        <Tree bench={bench} />
        <NewFile bench={bench} />
      </aside>
      <div class="desk">
        <Open bench={bench} path={path} />
        <Tabs label="About the policies on the bench" tabs={tabs} chosen={tab} onChoose={setTab} />
      </div>
      {isPublishing ? <Publishing bench={bench} subject={subject} onClose={() => setPublishing(false)} /> : null}
    </div>
  );
}

function Open({ bench, path }: { bench: Workbench; path: string | undefined }) {
  if (path === undefined) return <p class="empty">Choose a file on the left.</p>;
  return (
    <>
      <FileHead bench={bench} path={path} />
      {bench.all.value.has(path) ? (
        <Editor key={path} bench={bench} path={path} />
      ) : (
        <p class="empty">{bench.files.value.has(path) ? "It is deleted on the bench." : "There is no such file."}</p>
      )}
      <p class="faint" id="editor-keys">
        In the text, Tab indents; <kbd>Escape</kbd> and then <kbd>Tab</kbd> leaves it. <kbd>Ctrl</kbd>-<kbd>Space</kbd>{" "}
        completes, <kbd>Ctrl</kbd>-<kbd>F</kbd> finds, <kbd>F8</kbd> goes to the next finding.
      </p>
    </>
  );
}

/** What its author has to know before going on. */
function Notices({ bench }: { bench: Workbench }) {
  const [released, setReleased] = useState("");
  const loading = useWork(() => bench.load());
  const look = () => {
    get<Standing>("/v1/policies").then(
      (standing) => setReleased(standing.layers.find((one) => one.layer === "base")?.active_revision ?? ""),
      () => setReleased(""),
    );
  };
  useEffect(look, [bench.revision.value]);
  useSoon(["policies"], look);
  const isOfRelease = bench.origin.value === "release";
  const isBehind = isOfRelease && released !== "" && released !== bench.revision.value;
  return (
    <div class="notices" role="status">
      {isBehind ? (
        <p>
          Revision <code>{released}</code> decides; on the bench is <code>{bench.revision.value}</code>.{" "}
          <button type="button" onClick={loading.begin} disabled={loading.isRunning}>
            Load what decides
          </button>
        </p>
      ) : null}
      {isOfRelease ? null : (
        <p>
          What decides brings no source with it: on the bench are the files of this installation, which may be others.
        </p>
      )}
      <Refused refusal={loading.refusal} />
      {bench.earlier.value.map((one) => (
        <p key={one.revision}>
          Here are changes of {Object.keys(one.changes).length} files over revision <code>{one.revision}</code>, which
          are not in force.{" "}
          <button type="button" onClick={() => void bench.carryOver(one)}>
            Go on with them
          </button>{" "}
          <button type="button" onClick={() => void bench.forget(one)}>
            Discard them
          </button>
        </p>
      ))}
    </div>
  );
}
