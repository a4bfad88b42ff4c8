/** One round: whose updates went into its model, whose did not and why, and which layers each changed. */

import { useEffect, useRef, useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { addressed, get } from "../../api/client";
import { useFresh } from "../../api/fresh";
import { shortly } from "../../charts/scale";
import { Command } from "../../ui/command";
import { Badge, Code, Moment, Part, Refused } from "../../ui/parts";
import { Layers } from "./layers";
import { measured, worded } from "./measures";
import { DecisionLink } from "./orders";
import type { RoundStanding, Update } from "./types";
import { Undo } from "./undo";

const MOST = 200;

interface Told {
  readonly round: RoundStanding;
  readonly updates: readonly Update[];
}

async function load(id: string, signal: AbortSignal): Promise<Told> {
  const path = `/v1/rounds/${encodeURIComponent(id)}`;
  const [told, found] = await Promise.all([
    get<{ round: RoundStanding }>(path, {}, signal),
    get<{ updates: readonly Update[] }>(`${path}/verdicts`, { limit: MOST }, signal),
  ]);
  return { round: told.round, updates: found.updates };
}

export function Round({ id }: { id: string }) {
  const found = useFresh((signal) => load(id, signal), [id], ["rounds"]);
  const [picked, pick] = useState<readonly string[]>([]);
  const [isUndoing, undo] = useState(false);
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    pick([]);
    undo(false);
    place.current?.focus();
  }, [id]);
  const told = found.value?.round.id === id ? found.value : undefined;
  const toggle = (subject: string) =>
    pick((before) => (before.includes(subject) ? before.filter((one) => one !== subject) : [...before, subject]));
  return (
    <div ref={place} tabIndex={-1} class="detail">
      <Part title={`Round ${id}`}>
        <Refused refusal={found.refusal} />
        {told === undefined ? null : (
          <>
            <Facts round={told.round} />
            <Updates updates={told.updates} picked={picked} onToggle={toggle} />
            {isUndoing ? (
              <Undo round={id} subjects={picked} onLeave={() => undo(false)} />
            ) : (
              <button type="button" disabled={picked.length === 0} onClick={() => undo(true)}>
                Undo what the chosen contributed … ({picked.length})
              </button>
            )}
            <Layers updates={told.updates} by="subject" label="Layers that each update changed" />
          </>
        )}
        <Command text={`ztfm rounds show ${id}`} />
      </Part>
    </div>
  );
}

function Facts({ round }: { round: RoundStanding }) {
  const submitted = round.accepted + round.dropped;
  return (
    <dl class="facts">
      <dt>State</dt>
      <dd>
        <Badge tone={round.state === "open" ? "good" : "plain"}>{round.state}</Badge>{" "}
        {round.state === "open" ? "until" : "since"} <Moment seconds={round.closes_at} />
      </dd>
      <dt>Updates</dt>
      <dd>
        <span role="status">
          {submitted} from {round.members} members: {round.accepted} accepted, {round.dropped} refused
        </span>
      </dd>
      <dt>Brought together by</dt>
      <dd>{round.aggregation}</dd>
      <dt>Opened by</dt>
      <dd>
        <a href={`/console/fleet/${encodeURIComponent(round.opened_by)}`}>{round.opened_by}</a>
      </dd>
      <dt>Weights</dt>
      <dd>
        <Code text={round.model_digest} />
      </dd>
    </dl>
  );
}

interface Listed {
  readonly updates: readonly Update[];
  readonly picked: readonly string[];
  readonly onToggle: (subject: string) => void;
}

function Updates({ updates, picked, onToggle }: Listed) {
  if (updates.length === 0) return <p class="empty">No update has come yet.</p>;
  return (
    <section class="scrolls" aria-label="Updates of the round" tabIndex={-1}>
      <table class="plain" aria-label="Updates of the round">
        <thead>
          <tr>
            <th scope="col">Undo</th>
            <th scope="col">Device</th>
            <th scope="col">Update</th>
            <th scope="col">p</th>
            <th scope="col">Norm</th>
            <th scope="col">By</th>
          </tr>
        </thead>
        <tbody>
          {updates.map((update) => (
            <Row key={update.subject} update={update} isPicked={picked.includes(update.subject)} onToggle={onToggle} />
          ))}
        </tbody>
      </table>
    </section>
  );
}

interface Shown {
  readonly update: Update;
  readonly isPicked: boolean;
  readonly onToggle: (subject: string) => void;
}

function Row({ update, isPicked, onToggle }: Shown) {
  const { path } = useLocation();
  const isIn = update.outcome === "allow";
  const why = update.attribution?.sentence ?? update.reasons.map((reason) => reason.message).join(" ");
  return (
    <>
      <tr>
        <td>
          <input
            type="checkbox"
            aria-label={`Undo what ${update.subject} contributed`}
            checked={isPicked}
            disabled={!isIn}
            onChange={() => onToggle(update.subject)}
          />
        </td>
        <td class="name">
          <a href={addressed(path, { device: update.subject })} title={update.subject}>
            {update.subject}
          </a>
        </td>
        <td>
          <Badge tone={isIn ? "good" : "bad"}>{worded(update)}</Badge>
        </td>
        <td>{told(measured(update, "p_value"))}</td>
        <td>{told(measured(update, "norm_ratio"))}</td>
        <td>
          <DecisionLink id={update.decision_id} />
        </td>
      </tr>
      {why === "" ? null : (
        <tr>
          <td />
          <td colSpan={5} class="fine">
            {why}
          </td>
        </tr>
      )}
    </>
  );
}

function told(value: number | undefined): string {
  return value === undefined ? "–" : shortly(value);
}
