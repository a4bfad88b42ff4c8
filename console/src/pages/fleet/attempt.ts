/** Something that is asked of the control plane once somebody says so, and why it was refused. */

import { useState } from "preact/hooks";
import { Refusal } from "../../api/client";

export interface Attempt {
  readonly refusal: Refusal | undefined;
  readonly isAsking: boolean;
  readonly attempt: (work: () => Promise<void>) => Promise<void>;
}

export function useAttempt(): Attempt {
  const [refusal, refuse] = useState<Refusal | undefined>(undefined);
  const [isAsking, ask] = useState(false);
  const attempt = async (work: () => Promise<void>) => {
    ask(true);
    refuse(undefined);
    try {
      await work();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      refuse(error);
    } finally {
      ask(false);
    }
  };
  return { refusal, isAsking, attempt };
}
