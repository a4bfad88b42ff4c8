/** Have what some devices contributed undone: first what that would undo, then the order. */

import { useEffect, useState } from "preact/hooks";
import { call } from "../../api/client";
import { Command, quoted } from "../../ui/command";
import { Refused } from "../../ui/parts";
import { useAttempt } from "../fleet/attempt";
import type { Preview, Rollback } from "./types";

interface Undone {
  readonly round: string;
  readonly subjects: readonly string[];
  readonly onLeave: () => void;
}

export function Undo({ round, subjects, onLeave }: Undone) {
  const [reason, write] = useState("");
  const [preview, show] = useState<Preview | undefined>(undefined);
  const [given, give] = useState<Rollback | undefined>(undefined);
  const { refusal, isAsking, attempt } = useAttempt();
  const named = subjects.join(" ");
  useEffect(() => {
    show(undefined);
    give(undefined);
  }, [round, named]);
  const path = `/v1/rounds/${encodeURIComponent(round)}/rollback`;
  const look = (event: Event) => {
    event.preventDefault();
    attempt(async () => show(await call<Preview>("POST", `${path}/preview`, { body: { subjects } })));
  };
  const order = () =>
    attempt(async () => {
      give(await call<Rollback>("POST", path, { body: { subjects, reason } }));
      show(undefined);
    });
  return (
    <form class="confirm" onSubmit={look} aria-label="Undo contributions">
      <p>
        The model is rebuilt from this round on without what{" "}
        {subjects.length === 1 ? "one device" : `${subjects.length} devices`} contributed.
      </p>
      <Refused refusal={refusal} />
      <label>
        Reason, kept with the order
        <input
          required
          maxLength={256}
          pattern="[ -~]*[!-~][ -~]*"
          title="Letters, digits and signs of ASCII"
          value={reason}
          onInput={(event) => write(event.currentTarget.value)}
        />
      </label>
      <div class="buttons">
        <button type="submit" disabled={isAsking || subjects.length === 0}>
          Preview
        </button>
        <button
          type="button"
          class="main"
          disabled={isAsking || (preview?.left_out ?? 0) === 0 || reason.trim() === ""}
          onClick={order}
        >
          Order the rollback
        </button>
        <button type="button" onClick={onLeave}>
          Leave it
        </button>
      </div>
      <div aria-live="polite">
        {preview === undefined ? null : <Shown preview={preview} subjects={subjects} />}
        {given === undefined ? null : <p>Ordered: {given.id}. It is listed under Rollbacks.</p>}
      </div>
      <Command text={commandFor(round, subjects, reason)} />
    </form>
  );
}

function Shown({ preview, subjects }: { preview: Preview; subjects: readonly string[] }) {
  if (preview.left_out === 0) return <p>There is nothing to undo: none of them contributed since this round.</p>;
  return (
    <section aria-label="What would be undone">
      <p>
        {preview.model} is rebuilt by {preview.opened_by} after its next round. Rounds that are done again:{" "}
        {preview.replayed}. Updates that are left out: {preview.left_out}; that are applied again: {preview.kept}.
      </p>
      <Names summary="The rounds" names={preview.rounds} />
      <Names summary="Whose updates are left out" names={subjects} />
    </section>
  );
}

function Names({ summary, names }: { summary: string; names: readonly string[] }) {
  return (
    <details>
      <summary>{summary}</summary>
      <ol class="names">
        {names.map((name) => (
          <li key={name}>{name}</li>
        ))}
      </ol>
    </details>
  );
}

function commandFor(round: string, subjects: readonly string[], reason: string): string {
  const without = subjects.map((subject) => `--without ${subject}`).join(" ");
  return `ztfm rounds rollback ${round} ${without} --reason ${quoted(reason)}`;
}
