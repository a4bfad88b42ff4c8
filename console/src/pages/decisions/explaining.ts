/** Asks why something was decided: the control plane works out one at a time for each person. */

import { get, Refusal } from "../../api/client";
import type { Explanation } from "./types";

const TRIES = 8;
const WAIT_MS = 1_000;

/** Returns the explanation of a decision; waits for its turn, which the one before gives up when it is closed. */
export async function explanationOf(id: string, signal: AbortSignal): Promise<Explanation> {
  for (let tried = 1; ; tried++) {
    try {
      return await get<Explanation>(`/v1/decisions/${id}/explanation`, {}, signal);
    } catch (error) {
      const isBusy = error instanceof Refusal && error.status === 429;
      if (!isBusy || tried === TRIES || signal.aborted) throw error;
      await new Promise((resolve) => setTimeout(resolve, WAIT_MS));
    }
  }
}
