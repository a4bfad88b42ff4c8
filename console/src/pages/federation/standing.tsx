/** How many devices stand where, and how far they are trusted. */

import { get } from "../../api/client";
import { useFresh } from "../../api/fresh";
import { type Counted, Strip, type Tone } from "../../charts/strip";
import { Command } from "../../ui/command";
import { Part, Refused } from "../../ui/parts";
import { type DevicesFound, type Listed, standing } from "../fleet/types";

const PAGE = 1000;
const SELDOM_MS = 3_000;

const STANDINGS: Readonly<Record<string, Tone>> = {
  trusted: "good",
  watched: "plain",
  recovering: "warn",
  quarantined: "bad",
  held: "bad",
  revoked: "faint",
};

const BANDS: readonly (readonly [number, string, Tone])[] = [
  [0.2, "below 0.2", "bad"],
  [0.4, "0.2 to 0.4", "warn"],
  [0.6, "0.4 to 0.6", "faint"],
  [0.8, "0.6 to 0.8", "plain"],
  [2, "0.8 and more", "good"],
];

export function Standings() {
  const found = useFresh(
    (signal) => get<DevicesFound>("/v1/devices", { limit: PAGE, sort: "trust" }, signal),
    [],
    ["devices", "rounds"],
    SELDOM_MS,
  );
  const devices = found.value?.devices ?? [];
  const total = found.value?.total ?? 0;
  return (
    <Part title="Devices by trust and state">
      <Refused refusal={found.refusal} />
      {total > devices.length ? (
        <p class="empty">
          Of {total} devices, the {devices.length} that are trusted least.
        </p>
      ) : null}
      <div class="pair">
        <Strip label="Devices by state" what="state" parts={byState(devices)} />
        <Strip label="Devices by trust" what="trust" parts={byTrust(devices)} />
      </div>
      <Command text="ztfm devices list --sort trust" />
    </Part>
  );
}

function byState(devices: readonly Listed[]): Counted[] {
  const words = devices.map(standing);
  return Object.entries(STANDINGS).map(([name, tone]) => ({
    name,
    tone,
    count: words.filter((word) => word === name).length,
  }));
}

function byTrust(devices: readonly Listed[]): Counted[] {
  return BANDS.map(([below, name, tone], number) => {
    const from = number === 0 ? -1 : (BANDS[number - 1]?.[0] ?? 0);
    return { name, tone, count: devices.filter(({ trust }) => trust.score >= from && trust.score < below).length };
  });
}
