/** What was measured on one device's updates, round by round, and what it was judged to be. */

import { useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { addressed, get } from "../../api/client";
import { useFresh } from "../../api/fresh";
import { Dots } from "../../charts/dots";
import { shortly } from "../../charts/scale";
import { Command } from "../../ui/command";
import { Moment, Part, Refused, Standing } from "../../ui/parts";
import { DeviceActs } from "../fleet/acts";
import { type Behaviour, standing } from "../fleet/types";
import { Verdicts } from "../fleet/verdicts";
import { Layers } from "./layers";
import { dotsOf, MEASURES, measuresOf } from "./measures";
import type { Update } from "./types";

const MOST = 60;
const MOST_SUBJECTS = 100;
const MOST_VERDICTS = 50;

type Subject = Omit<Behaviour, "verdicts" | "e_values">;

/** Chooses among the devices against which most speaks, and shows the one that is chosen. */
export function EvidencePart({ device }: { device: string | undefined }) {
  const { path, route } = useLocation();
  const found = useFresh(
    (signal) => get<{ subjects: readonly Subject[] }>("/v1/behaviour", { limit: MOST_SUBJECTS }, signal),
    [],
    ["devices", "rounds"],
  );
  const subjects = found.value?.subjects ?? [];
  const chosen = device ?? subjects.find((one) => one.observed_at != null)?.subject;
  const isListed = chosen === undefined || subjects.some((one) => one.subject === chosen);
  return (
    <Part
      title="Evidence over rounds"
      beside={
        <select
          aria-label="Device, most evidence against it first"
          class="device"
          value={chosen ?? ""}
          onChange={(event) => route(addressed(path, { device: event.currentTarget.value }), true)}
        >
          {chosen === undefined ? <option value="">no device</option> : null}
          {isListed ? null : <option value={chosen}>{chosen}</option>}
          {subjects.map((one) => (
            <option key={one.subject} value={one.subject}>
              {standing(one)}, e {shortly(one.e_value)}: {one.subject}
            </option>
          ))}
        </select>
      }
    >
      <Refused refusal={found.refusal} />
      {chosen === undefined ? <p class="empty">Nothing was observed yet.</p> : <OfDevice id={chosen} />}
    </Part>
  );
}

interface Told {
  readonly behaviour: Behaviour;
  readonly updates: readonly Update[];
}

async function load(id: string, signal: AbortSignal): Promise<Told> {
  const path = `/v1/devices/${encodeURIComponent(id)}`;
  const [behaviour, found] = await Promise.all([
    get<Behaviour>(`${path}/behaviour`, { limit: MOST_VERDICTS }, signal),
    get<{ updates: readonly Update[] }>(`${path}/updates`, { limit: MOST }, signal),
  ]);
  return { behaviour, updates: found.updates };
}

function OfDevice({ id }: { id: string }) {
  const found = useFresh((signal) => load(id, signal), [id], ["rounds", "devices"]);
  const told = found.value?.behaviour.subject === id ? found.value : undefined;
  if (told === undefined) return <Refused refusal={found.refusal} />;
  const { behaviour, updates } = told;
  return (
    <>
      <Refused refusal={found.refusal} />
      <p role="status">
        <Standing word={standing(behaviour)} /> trust {shortly(behaviour.trust.score)} after{" "}
        {behaviour.trust.observations} observations, evidence against it {shortly(behaviour.e_value)}.{" "}
        {behaviour.observed_at == null ? null : (
          <>
            Last observed <Moment seconds={behaviour.observed_at} />.
          </>
        )}{" "}
        <a href={`/console/fleet/${encodeURIComponent(id)}`}>All of the device</a>
      </p>
      <div class="pair">
        <Measured updates={updates} />
        <div>
          <Layers updates={updates} by="round_id" label="Layers that its updates changed" />
        </div>
      </div>
      <h3>Verdicts</h3>
      <Verdicts verdicts={behaviour.verdicts} />
      <DeviceActs id={id} status={behaviour.status} onDone={found.again} />
      <Command text={`ztfm devices why ${id}`} />
    </>
  );
}

function Measured({ updates }: { updates: readonly Update[] }) {
  const [wanted, want] = useState("norm_ratio");
  const known = measuresOf(updates);
  if (known.length === 0) return <p class="empty">No update of it was measured.</p>;
  const measure = known.includes(wanted) ? wanted : (known[0] ?? wanted);
  return (
    <div>
      <label class="measure">
        Measure{" "}
        <select value={measure} onChange={(event) => want(event.currentTarget.value)}>
          {known.map((name) => (
            <option key={name} value={name}>
              {MEASURES[name]}
            </option>
          ))}
        </select>
      </label>
      <Dots label={MEASURES[measure] ?? measure} dots={dotsOf(updates, measure)} />
    </div>
  );
}
