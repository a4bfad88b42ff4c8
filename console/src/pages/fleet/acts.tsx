/** Set a device apart, let it back, or shut it out: with a reason, asked once more before it is done. */

import { useEffect, useRef, useState } from "preact/hooks";
import { call } from "../../api/client";
import { Command } from "../../ui/command";
import { Refused } from "../../ui/parts";
import { useAttempt } from "./attempt";
import type { Device, Status } from "./types";

interface Act {
  readonly to: Status;
  readonly name: string;
  readonly command: string;
  readonly consequence: string;
}

const ACTS: Readonly<Record<Status, readonly Act[]>> = {
  active: [
    {
      to: "quarantined",
      name: "Quarantine",
      command: "quarantine",
      consequence: "It is granted nothing, and what it holds is void, until somebody releases it.",
    },
  ],
  quarantined: [
    {
      to: "active",
      name: "Release",
      command: "release",
      consequence: "It takes part again, with a newcomer's trust and nothing against it.",
    },
  ],
  revoked: [],
};

const REVOKE: Act = {
  to: "revoked",
  name: "Revoke",
  command: "revoke",
  consequence: "Its key is never accepted again. This is final: its owner enrols with a new key and token.",
};

interface Acted {
  readonly id: string;
  readonly status: Status;
  readonly onDone: (device: Device) => void;
}

/** The acts that fit how a device stands. */
export function DeviceActs({ id, status, onDone }: Acted) {
  const [chosen, choose] = useState<Act | undefined>(undefined);
  const [done, tell] = useState("");
  useEffect(() => {
    choose(undefined);
    tell("");
  }, [id]);
  const acts = status === "revoked" ? [] : [...ACTS[status], REVOKE];
  return (
    <div class="acts">
      {chosen === undefined
        ? acts.map((act) => (
            <button key={act.name} type="button" onClick={() => choose(act)}>
              {act.name} …
            </button>
          ))
        : null}
      {chosen === undefined ? null : (
        <Confirm
          id={id}
          act={chosen}
          onLeave={() => choose(undefined)}
          onDone={(device) => {
            tell(`${chosen.name}: done. It is ${device.status}.`);
            choose(undefined);
            onDone(device);
          }}
        />
      )}
      <p role="status" class="done">
        {done}
      </p>
    </div>
  );
}

interface Confirmed {
  readonly id: string;
  readonly act: Act;
  readonly onLeave: () => void;
  readonly onDone: (device: Device) => void;
}

function Confirm({ id, act, onLeave, onDone }: Confirmed) {
  const [reason, write] = useState("");
  const { refusal, isAsking, attempt } = useAttempt();
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);
  const send = (event: Event) => {
    event.preventDefault();
    const path = `/v1/devices/${encodeURIComponent(id)}/status`;
    attempt(async () => onDone(await call<Device>("POST", path, { body: { status: act.to, reason } })));
  };
  return (
    <form class="confirm" onSubmit={send} aria-label={`${act.name} this device`}>
      <p>{act.consequence}</p>
      <Refused refusal={refusal} />
      <label>
        Reason, kept with the decision
        <input
          ref={field}
          required
          maxLength={256}
          pattern="[ -~]*[!-~][ -~]*"
          title="Letters, digits and signs of ASCII"
          value={reason}
          onInput={(event) => write(event.currentTarget.value)}
        />
      </label>
      <div class="buttons">
        <button type="submit" class="main" disabled={isAsking || reason.trim() === ""}>
          {act.name}
        </button>
        <button type="button" onClick={onLeave}>
          Leave it
        </button>
      </div>
      <Command text={`ztfm devices ${act.command} ${id}`} />
    </form>
  );
}
