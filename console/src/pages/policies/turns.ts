/** One question to the workbench at a time: the control plane runs one of a person's policies at once. */

import { Refusal } from "../../api/client";

/** Too many requests, of a person or in all. */
const BUSY: ReadonlySet<number> = new Set([429, 503]);
const TRIES = 4;
const BUSY_MILLISECONDS = 1500;

let before: Promise<unknown> = Promise.resolve();

/** Asks when what was asked before is answered; again, a while later, as long as others keep the workbench busy. */
export function inTurn<T>(work: () => Promise<T>, wait: (milliseconds: number) => Promise<void> = pause): Promise<T> {
  const turn = before.then(() => patiently(work, wait));
  before = turn.catch(() => undefined);
  return turn;
}

async function patiently<T>(work: () => Promise<T>, wait: (milliseconds: number) => Promise<void>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof Refusal) || !BUSY.has(error.status) || tries === TRIES) throw error;
      await wait(BUSY_MILLISECONDS);
    }
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
