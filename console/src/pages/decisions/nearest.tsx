/** What would have been allowed: the smallest changes of facts that the policies were found to let through. */

import { Value } from "./facts";
import type { Change, Nearest } from "./types";

export function NearestChanges({ nearest }: { nearest: Nearest }) {
  const tried = `${nearest.asked.toLocaleString()} tried`;
  if (nearest.alternatives.length === 0) {
    return (
      <p>
        No small change of facts was found that would be allowed ({tried}
        {nearest.is_complete ? "" : ", and not all were"}).
      </p>
    );
  }
  return (
    <>
      <p>It would be allowed with ({tried}, the smallest first):</p>
      <ol class="nearest">
        {nearest.alternatives.map((changes) => (
          <li key={changes.map((change) => change.path).join()}>
            {changes.map((change) => (
              <OneChange key={change.path} change={change} />
            ))}
          </li>
        ))}
      </ol>
    </>
  );
}

function OneChange({ change }: { change: Change }) {
  return (
    <div>
      <code>{change.path}</code> = <Value value={change.becomes ?? undefined} /> instead of{" "}
      <Value value={change.was ?? undefined} />
    </div>
  );
}
