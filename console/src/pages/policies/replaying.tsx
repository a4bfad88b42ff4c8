/** Recorded requests, decided again by the policies on the bench: whose answer would be another. */

import { useState } from "preact/hooks";
import { Refused } from "../../ui/parts";
import { Groups } from "./groups";
import { Shell } from "./shell";
import { useWork } from "./work";
import type { Workbench } from "./workbench";

const DAY = 86_400;
const SPANS = [
  [DAY / 24, "hour", "1h"],
  [DAY, "day", "1d"],
  [7 * DAY, "week", "7d"],
  [30 * DAY, "30 days", "30d"],
] as const;
const MOST = [1_000, 10_000, 50_000] as const;

export function Replaying({ bench }: { bench: Workbench }) {
  const [seconds, setSeconds] = useState<number>(7 * DAY);
  const [most, setMost] = useState<number>(MOST[1]);
  const work = useWork(() => bench.replay(seconds, most));
  const age = SPANS.find(([one]) => one === seconds)?.[2] ?? "7d";
  return (
    <>
      <div class="line">
        <label>
          Of the last{" "}
          <select value={seconds} onChange={(event) => setSeconds(Number(event.currentTarget.value))}>
            {SPANS.map(([value, name]) => (
              <option key={value} value={value}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <label>
          the newest{" "}
          <select value={most} onChange={(event) => setMost(Number(event.currentTarget.value))}>
            {MOST.map((value) => (
              <option key={value} value={value}>
                {value.toLocaleString()}
              </option>
            ))}
          </select>{" "}
          decisions
        </label>
        <button type="button" class="main" onClick={work.begin} disabled={work.isRunning}>
          {work.isRunning ? "Replaying …" : "Replay"}
        </button>
      </div>
      <Refused refusal={work.refusal} />
      <ReplayAnswer bench={bench} />
      <Shell commands={[`ztfm policy replay --candidate my-policies --since ${age} --limit ${most}`]} />
    </>
  );
}

/** What the last replay said. */
export function ReplayAnswer({ bench }: { bench: Workbench }) {
  const replayed = bench.replayed.value;
  if (replayed === undefined) return <p class="empty">Nothing was replayed yet.</p>;
  const { asked, same, unsure, not_decided, failed, changes } = replayed.answer;
  return (
    <>
      <p role="status">
        {asked.toLocaleString()} decided again: {same.toLocaleString()} would be the same
        {unsure === 0 ? "" : `, of ${unsure.toLocaleString()} it cannot be said`}
        {not_decided === 0 ? "" : `, ${not_decided.toLocaleString()} had not been decided by policy`}
        {failed === 0 ? "" : `, on ${failed.toLocaleString()} these policies give no decision`}
        {changes.length === 0 ? ". Nothing would change." : ". These would be others:"}
        {bench.isCurrent(replayed) ? "" : " The policies were changed since: replay again."}
      </p>
      {changes.length === 0 ? null : <Groups label="What would change" groups={changes} />}
    </>
  );
}
