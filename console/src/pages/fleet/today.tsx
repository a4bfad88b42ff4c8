/** What changed today: who came, who was set apart and let back, which policies and exceptions there are since. */

import { get } from "../../api/client";
import { useFresh } from "../../api/fresh";
import { Command } from "../../ui/command";
import { Moment, Part, Refused } from "../../ui/parts";
import { allowed, type Decided, type Told, told } from "./decided";
import type { DevicesFound } from "./types";

const GROUPS: readonly (readonly [string, readonly string[]])[] = [
  ["Enrolled", ["enrolment"]],
  ["Policies", ["policy:publish", "policy:rollback"]],
  ["Exceptions", ["exception:grant", "exception:revoke"]],
  ["Rollbacks ordered", ["round:rollback"]],
  ["Holds released", ["hold:release"]],
];

const STATUS_WORDS: Readonly<Record<string, string>> = {
  active: "released",
  quarantined: "quarantined",
  revoked: "revoked",
};

const SHOWN = 10;
const MOST_TOLD = 20;
const SELDOM_MS = 30_000;

interface Group {
  readonly title: string;
  readonly decisions: readonly Decided[];
}

interface Changed {
  readonly groups: readonly Group[];
  readonly statuses: readonly Told[];
  readonly apart: DevicesFound["devices"];
}

/** Returns Unix seconds of the last midnight where the reader is. */
function midnight(): number {
  return Math.floor(new Date().setHours(0, 0, 0, 0) / 1000);
}

async function load(signal: AbortSignal): Promise<Changed> {
  const since = midnight();
  const looked = Promise.all(
    GROUPS.map(async ([title, actions]) => {
      const found = await Promise.all(actions.map((action) => allowed(action, { since }, signal)));
      return { title, decisions: found.flat().sort((one, other) => other.time - one.time) };
    }),
  );
  // Together, so that none of them fails with nobody to hear of it.
  const [groups, changes] = await Promise.all([looked, allowed("device:set_status", { since }, signal)]);
  const [statuses, found] = await Promise.all([
    told(changes.slice(0, MOST_TOLD), signal),
    get<DevicesFound>("/v1/devices", { state: "quarantined", limit: 200 }, signal),
  ]);
  const apart = found.devices.filter((device) => !device.held && (device.since ?? 0) >= since);
  return { groups, statuses, apart };
}

export function Today() {
  const found = useFresh(load, [], ["devices", "policies", "rollbacks"], SELDOM_MS);
  const changed = found.value;
  return (
    <Part
      title="What changed today"
      beside={
        <button type="button" onClick={found.again} disabled={found.isLoading}>
          Look again
        </button>
      }
    >
      <Refused refusal={found.refusal} />
      {changed === undefined ? null : (
        <div class="today">
          <section aria-label="Set apart and back">
            <h3>Set apart and back ({changed.statuses.length})</h3>
            <Statuses statuses={changed.statuses} />
          </section>
          <section aria-label="Set apart by policy">
            <h3>Set apart by policy ({changed.apart.length})</h3>
            <ul class="verdicts">
              {changed.apart.slice(0, SHOWN).map((device) => (
                <li key={device.id}>
                  <Moment seconds={device.since ?? 0} /> <DeviceLink id={device.id} />
                </li>
              ))}
            </ul>
          </section>
          {changed.groups.map((group) => (
            <Grouped key={group.title} group={group} />
          ))}
        </div>
      )}
      <Command text="ztfm decisions list --action device:set_status --since 24h" />
    </Part>
  );
}

function Grouped({ group: { title, decisions } }: { group: Group }) {
  return (
    <section aria-label={title}>
      <h3>
        {title} ({decisions.length})
      </h3>
      <ul class="verdicts">
        {decisions.slice(0, SHOWN).map((one) => (
          <li key={one.id}>
            <Moment seconds={one.time} /> {title === "Enrolled" ? <DeviceLink id={one.subject} /> : worded(one)}{" "}
            <a href={`/console/decisions/${one.id}`}>decision</a>
          </li>
        ))}
      </ul>
      {decisions.length > SHOWN ? <p class="fine">and {decisions.length - SHOWN} earlier ones</p> : null}
    </section>
  );
}

function worded(one: Decided): string {
  return `${one.action} on ${one.resource}`;
}

function Statuses({ statuses }: { statuses: readonly Told[] }) {
  return (
    <ul class="verdicts">
      {statuses.map((one) => (
        <li key={one.id}>
          <Moment seconds={one.time} /> <DeviceLink id={one.resource} /> {STATUS_WORDS[one.status] ?? one.status}
          {one.reason === "" ? "" : `: ${one.reason}`} <a href={`/console/decisions/${one.id}`}>decision</a>
        </li>
      ))}
    </ul>
  );
}

function DeviceLink({ id }: { id: string }) {
  return (
    <a class="mono" href={`/console/fleet/${encodeURIComponent(id)}`} title={id}>
      {id.length > 16 ? `${id.slice(0, 14)}…` : id}
    </a>
  );
}

/** What people did about one device, newest first. */
export function About({ id }: { id: string }) {
  const found = useFresh(
    async (signal) => told((await allowed("device:set_status", { resource: id }, signal)).slice(0, SHOWN), signal),
    [id],
    ["devices"],
  );
  return (
    <>
      <h3>What was done about it</h3>
      <Refused refusal={found.refusal} />
      {found.value === undefined ? null : found.value.length === 0 ? (
        <p class="empty">Nothing, as far as the log was looked through.</p>
      ) : (
        <Statuses statuses={found.value} />
      )}
    </>
  );
}
