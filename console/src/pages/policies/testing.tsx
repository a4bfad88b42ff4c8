/** The tests of the policies: what came of each, and which lines they ran. */

import { useState } from "preact/hooks";
import { Badge, Refused } from "../../ui/parts";
import { type Column, RowList } from "../../ui/rows";
import { FindingList } from "./findings";
import { Shell } from "./shell";
import type { Covered, TestResult } from "./wire";
import { useWork } from "./work";
import type { Workbench } from "./workbench";

const TONES = { passed: "good", skipped: "warn", failed: "bad", error: "bad" } as const;

const COLUMNS: readonly Column<TestResult>[] = [
  {
    name: "Outcome",
    width: "6rem",
    cell: (test) => <Badge tone={TONES[test.outcome]}>{test.outcome}</Badge>,
  },
  { name: "Test", width: "minmax(0, 2fr)", cell: (test) => <span title={test.name}>{test.name}</span> },
  { name: "Package", width: "minmax(0, 1fr)", cell: (test) => test.package.replace(/^data\./, "") },
  { name: "Milliseconds", width: "6.5rem", cell: (test) => (test.seconds * 1000).toFixed(1) },
  { name: "Message", width: "minmax(0, 1fr)", cell: (test) => <span title={test.message}>{test.message}</span> },
];

export function Testing({ bench }: { bench: Workbench }) {
  const [onlyFailed, setOnlyFailed] = useState(false);
  const work = useWork(() => bench.test());
  const tested = bench.tested.value;
  const run = tested?.answer;
  const shown = run?.tests.filter((test) => !onlyFailed || test.outcome !== "passed") ?? [];
  return (
    <>
      <div class="line">
        <button type="button" class="main" onClick={work.begin} disabled={work.isRunning}>
          {work.isRunning ? "Running the tests …" : "Run the tests"}
        </button>
        <span role="status">{work.isRunning ? "" : saidOf(bench)}</span>
        <label class="check">
          <input type="checkbox" checked={onlyFailed} onChange={() => setOnlyFailed(!onlyFailed)} /> Failures alone
        </label>
      </div>
      <Refused refusal={work.refusal} />
      {run === undefined ? null : (
        <>
          <Legend bench={bench} />
          <FindingList bench={bench} label="Found by the tests" findings={run.findings} />
          <RowList
            label="Tests"
            columns={COLUMNS}
            rows={shown}
            keyOf={(test) => `${test.package}.${test.name}`}
            onOpen={(test) => bench.open(test.path, test.line)}
            empty={onlyFailed ? "No test failed." : "There are no tests."}
          />
        </>
      )}
      <Shell commands={["ztfm policy test --policies my-policies"]} />
    </>
  );
}

function Legend({ bench }: { bench: Workbench }) {
  const coverage = bench.tested.value?.answer.coverage ?? {};
  const covered = bench.path.value === undefined ? undefined : coverage[bench.path.value];
  if (Object.keys(coverage).length === 0) return <p class="faint">Coverage is measured when all tests hold.</p>;
  return (
    <p class="line legend">
      <label class="check">
        <input
          type="checkbox"
          checked={bench.showsCoverage.value}
          onChange={() => {
            bench.showsCoverage.value = !bench.showsCoverage.value;
          }}
        />{" "}
        Coverage in the editor:
      </label>
      <span class="covered">✓ a test ran the line</span>
      <span class="missed">✗ none did, or not all of it</span>
      <span class="faint">{covered === undefined ? "" : `${shareOf(covered)} of the open file's lines were run.`}</span>
    </p>
  );
}

function shareOf(covered: Covered): string {
  const count = (spans: Covered["covered"]) => spans.reduce((lines, [from, to]) => lines + to - from + 1, 0);
  const [run, missed] = [count(covered.covered), count(covered.not_covered)];
  return `${Math.floor((100 * run) / Math.max(run + missed, 1))} %`;
}

/** What came of the tests, in words. */
export function saidOf(bench: Workbench): string {
  const tested = bench.tested.value;
  if (tested === undefined) return "Not run yet.";
  const { passed, failed, examples, findings } = tested.answer;
  const tests = failed === 0 ? `${passed} passed` : `${failed} failed, ${passed} passed`;
  const said = `${tests}; ${examples} examples decided; ${findings.length} found.`;
  return bench.isCurrent(tested) ? said : `${said} The policies were changed since: run them again.`;
}
