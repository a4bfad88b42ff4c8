/** Who is signed in. The session is a cookie that no script reads; what is here is what the control plane says of it. */

import { signal } from "@preact/signals";
import { call, get, Refusal, whenSignedOut } from "./api/client";
import { follow, unfollow } from "./api/live";

export interface Session {
  readonly subject: string;
  readonly kind: "person" | "device";
  readonly name: string;
  readonly expires_at: number;
}

/** `undefined` until it is known, `null` when nobody is. */
export const session = signal<Session | null | undefined>(undefined);

function begin(found: Session): void {
  session.value = found;
  follow();
}

function end(): void {
  unfollow();
  session.value = null;
}

whenSignedOut(end);

/** Asks whether this browser is signed in. */
export async function resume(): Promise<void> {
  try {
    begin(await get<Session>("/v1/console/session"));
  } catch {
    end();
  }
}

/** Why somebody could not sign out; they are signed in still. */
export const stillSignedIn = signal<Refusal | undefined>(undefined);

export async function signOut(): Promise<void> {
  stillSignedIn.value = undefined;
  try {
    await call("DELETE", "/v1/console/session");
  } catch (error) {
    // Who is signed in no more is signed out.
    if (!(error instanceof Refusal)) throw error;
    if (!error.isSignedOut) {
      stillSignedIn.value = error;
      return;
    }
  }
  end();
}

/** Takes over what the control plane answered to a sign-in. */
export function signedIn(found: Session): void {
  begin(found);
}
