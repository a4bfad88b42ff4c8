/** What alerts have held in a device's segment or everywhere, and ending a hold before its time. */

import { useState } from "preact/hooks";
import { call, get } from "../../api/client";
import { useFresh } from "../../api/fresh";
import { Command, quoted } from "../../ui/command";
import { Moment, Refused } from "../../ui/parts";
import { useAttempt } from "./attempt";

interface Hold {
  readonly id: string;
  readonly segment: string;
  readonly actions: readonly string[];
  readonly alert: string;
  readonly ends_at: number;
  readonly decision_id: string;
}

const EVERYWHERE = "*";

export function Holds({ segment }: { segment: string }) {
  const found = useFresh((signal) => get<{ holds: readonly Hold[] }>("/v1/holds", {}, signal), [], ["policies"]);
  const holds = (found.value?.holds ?? []).filter((hold) => [segment, EVERYWHERE].includes(hold.segment));
  return (
    <>
      <h3>Holds on its segment</h3>
      <Refused refusal={found.refusal} />
      {found.value !== undefined && holds.length === 0 ? <p class="empty">Nothing is held.</p> : null}
      <ul class="verdicts">
        {holds.map((hold) => (
          <li key={hold.id}>
            {hold.alert} holds {hold.actions.join(", ")} until <Moment seconds={hold.ends_at} />{" "}
            <a href={`/console/decisions/${hold.decision_id}`}>decision</a>
            <Release hold={hold} onDone={found.again} />
          </li>
        ))}
      </ul>
    </>
  );
}

function Release({ hold, onDone }: { hold: Hold; onDone: () => void }) {
  const [isAsking, ask] = useState(false);
  const [reason, write] = useState("");
  const { refusal, attempt } = useAttempt();
  const send = (event: Event) => {
    event.preventDefault();
    attempt(async () => {
      await call("DELETE", `/v1/holds/${hold.id}`, { query: { reason } });
      onDone();
    });
  };
  if (!isAsking) {
    return (
      <button type="button" onClick={() => ask(true)}>
        Release the hold …
      </button>
    );
  }
  return (
    <form class="confirm" onSubmit={send} aria-label="Release the hold">
      <Refused refusal={refusal} />
      <label>
        Reason, kept with the hold
        <input required maxLength={512} value={reason} onInput={(event) => write(event.currentTarget.value)} />
      </label>
      <div class="buttons">
        <button type="submit" class="main" disabled={reason.trim() === ""}>
          Release
        </button>
        <button type="button" onClick={() => ask(false)}>
          Leave it
        </button>
      </div>
      <Command text={`ztfm holds release ${hold.id} --reason ${quoted(reason)}`} />
    </form>
  );
}
