/** What OPA and the checks say of the policies as they are on the bench. */

import { Badge, Refused } from "../../ui/parts";
import { Shell } from "./shell";
import type { Finding } from "./wire";
import type { Workbench } from "./workbench";

export function Findings({ bench }: { bench: Workbench }) {
  const findings = bench.findings.value;
  return (
    <>
      <Refused refusal={bench.checkRefusal.value} />
      <p role="status">{standingOf(bench)}</p>
      <FindingList bench={bench} label="Findings" findings={findings} />
      {Object.entries(bench.checked.value?.answer.skipped ?? {}).map(([check, why]) => (
        <p key={check} class="faint">
          {check} was not done: {why}
        </p>
      ))}
      <p class="faint">F8 goes to the next finding, in whichever file it is; Shift-F8 goes back.</p>
      <Shell commands={["ztfm policy check --policies my-policies"]} />
    </>
  );
}

interface List {
  readonly bench: Workbench;
  readonly label: string;
  readonly findings: readonly Finding[];
}

/** Findings as buttons that lead to their places. */
export function FindingList({ bench, label, findings }: List) {
  if (findings.length === 0) return null;
  return (
    <ul class="findings" aria-label={label}>
      {findings.map((found) => (
        <li key={keyOf(found)}>
          <button type="button" class="finding" onClick={() => bench.open(found.path, found.line, found.column)}>
            <Badge tone={found.severity === "warning" ? "warn" : "bad"}>{found.severity}</Badge>
            <span class="mono">
              {found.path}:{found.line}:{found.column}
            </span>
            <span>
              {found.message} <span class="faint">({found.code})</span>
            </span>
            <span class="faint">{found.remedy}</span>
          </button>
        </li>
      ))}
    </ul>
  );
}

function standingOf(bench: Workbench): string {
  if (!bench.hasChanges) return "Nothing is changed. What is in force was checked when it was published.";
  if (!bench.isCurrent(bench.checked.value)) {
    return bench.checkRefusal.value === undefined || bench.isChecking.value ? "Checking …" : "Not checked.";
  }
  const count = bench.findings.value.length;
  return count === 0 ? "Checked: nothing found." : `Checked: ${count} found.`;
}

function keyOf(found: Finding): string {
  return `${found.path}:${found.line}:${found.column}:${found.code}:${found.message}`;
}

/** Opens the finding after the last one that was gone to, or before it. */
export function goToNext(bench: Workbench, last: Finding | undefined, step: 1 | -1): Finding | undefined {
  const findings = bench.findings.value;
  const index = findings.findIndex((found) => last !== undefined && keyOf(found) === keyOf(last));
  const start = index === -1 && step === -1 ? 0 : index;
  const next = findings[(start + step + findings.length) % Math.max(findings.length, 1)];
  if (next !== undefined) bench.open(next.path, next.line, next.column);
  return next;
}
