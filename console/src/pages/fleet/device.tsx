/** One device: who it is, what its platform has proven, how it behaves, and what may be done about it. */

import { useEffect, useRef } from "preact/hooks";
import { get } from "../../api/client";
import { useFresh } from "../../api/fresh";
import { shortly } from "../../charts/scale";
import { Command } from "../../ui/command";
import { Badge, Code, Moment, Part, Refused, Standing } from "../../ui/parts";
import { DeviceActs } from "./acts";
import { Attested } from "./attested";
import { Holds } from "./holds";
import { Identity } from "./identity";
import { About } from "./today";
import { type Behaviour, type Device, standing } from "./types";
import { Verdicts } from "./verdicts";

const MOST_VERDICTS = 20;

interface Told {
  readonly device: Device;
  readonly behaviour: Behaviour;
}

async function load(id: string, signal: AbortSignal): Promise<Told> {
  const path = `/v1/devices/${encodeURIComponent(id)}`;
  const [device, behaviour] = await Promise.all([
    get<Device>(path, {}, signal),
    get<Behaviour>(`${path}/behaviour`, { limit: MOST_VERDICTS }, signal),
  ]);
  return { device, behaviour };
}

export function DevicePart({ id }: { id: string }) {
  const found = useFresh((signal) => load(id, signal), [id], ["devices"]);
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => place.current?.focus(), [id]);
  const told = found.value?.device.id === id ? found.value : undefined;
  return (
    <div ref={place} tabIndex={-1} class="detail">
      <Part title="Device" beside={<Code text={id} />}>
        <Refused refusal={found.refusal} />
        {told === undefined ? null : (
          <>
            <Facts told={told} />
            <DeviceActs id={id} status={told.device.status} onDone={found.again} />
            <h3>Behaviour</h3>
            <Channels behaviour={told.behaviour} />
            <Verdicts verdicts={told.behaviour.verdicts} />
            <p>
              <a href={`/console/federation?device=${encodeURIComponent(id)}`}>Its evidence over rounds</a>
            </p>
            <Attested id={id} />
            <Holds segment={told.device.segment} />
            <Identity id={id} />
            <About id={id} />
          </>
        )}
        <Command text={`ztfm devices show ${id}`} />
      </Part>
    </div>
  );
}

function Facts({ told: { device, behaviour } }: { told: Told }) {
  return (
    <dl class="facts">
      <dt>Stands</dt>
      <dd>
        <span role="status">
          <Standing word={standing(behaviour)} />
        </span>{" "}
        {behaviour.since == null ? null : (
          <>
            since <Moment seconds={behaviour.since} />
          </>
        )}
      </dd>
      <dt>Trust</dt>
      <dd>
        {shortly(device.trust.score)} after {device.trust.observations} observations
      </dd>
      <dt>Roles</dt>
      <dd>
        {device.roles.map((role) => (
          <Badge key={role} tone="plain">
            {role}
          </Badge>
        ))}
      </dd>
      <dt>Segment</dt>
      <dd>{device.segment}</dd>
      <dt>Key</dt>
      <dd>
        {device.key.kty} {device.key.crv}, thumbprint <Code text={device.key_thumbprint} />
      </dd>
      <dt>Enrolled</dt>
      <dd>
        <Moment seconds={device.enrolled_at} />
      </dd>
    </dl>
  );
}

function Channels({ behaviour }: { behaviour: Behaviour }) {
  const channels = Object.entries(behaviour.e_values);
  if (channels.length === 0) return <p class="empty">It was never observed.</p>;
  const told = channels.map(([name, value]) => `${name} ${shortly(value)}`).join(", ");
  return (
    <p>
      Evidence against it: {shortly(behaviour.e_value)} in all ({told}).
    </p>
  );
}
