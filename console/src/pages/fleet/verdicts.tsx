/** What a device was judged to be, newest first, each in one sentence. */

import { shortly } from "../../charts/scale";
import { Moment, Standing } from "../../ui/parts";
import type { Verdict } from "./types";

export function Verdicts({ verdicts }: { verdicts: readonly Verdict[] }) {
  if (verdicts.length === 0) return <p class="empty">Nothing remarkable.</p>;
  return (
    <ul class="verdicts">
      {verdicts.map((verdict) => (
        <li key={verdict.decision_id}>
          <Moment seconds={verdict.time} /> <Standing word={verdict.state} />{" "}
          {verdict.attribution?.sentence ?? `Its ${verdict.channel} were as its peers' are.`}{" "}
          <span class="fine">
            evidence {shortly(verdict.e_value)}
            {verdict.attribution?.atlas ? `, ${verdict.attribution.atlas}` : ""}{" "}
          </span>
          <a href={`/console/decisions/${verdict.decision_id}`}>decision</a>
        </li>
      ))}
    </ul>
  );
}
