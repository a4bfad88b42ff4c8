/** The key of this browser: enrolled as a device is, and then all that is needed to sign in. */

import { callProven } from "../../api/dpop";
import { forgetKey, keepKey, makeKey, readKey } from "../../api/keys";
import type { Session } from "../../session";

const NAME = "sign-in";

/** The control plane's answer to an enrolment. */
interface Enrolled {
  readonly id: string;
  readonly roles: readonly string[];
  readonly segment: string;
}

/** A key that is enrolled. */
export interface OwnKey {
  readonly pair: CryptoKeyPair;
  readonly id: string;
  readonly roles: readonly string[];
}

export interface Wanted {
  readonly token: string;
  readonly roles: readonly string[];
  readonly segment: string;
}

/** The kept key that is enrolled, if there is one. */
export async function ownKey(): Promise<OwnKey | undefined> {
  const kept = await readKey(NAME);
  if (kept === undefined) return undefined;
  const { id, roles } = kept.known;
  if (typeof id !== "string" || !Array.isArray(roles)) return undefined;
  return { pair: kept.pair, id, roles: roles.filter((role) => typeof role === "string") };
}

/** Makes a key, has it enrolled, and keeps it; what is not enrolled is not kept. */
export async function enrol(wanted: Wanted): Promise<OwnKey> {
  const pair = await makeKey();
  const body = { token: wanted.token, roles: wanted.roles, segment: wanted.segment };
  const { id, roles, segment } = await callProven<Enrolled>(pair, "POST", "/v1/devices", { body });
  await keepKey(NAME, { pair, known: { id, roles, segment } });
  return { pair, id, roles };
}

export function signInWith(key: OwnKey): Promise<Session> {
  return callProven<Session>(key.pair, "POST", "/v1/console/session", { body: {} });
}

export function forget(): Promise<void> {
  return forgetKey(NAME);
}
