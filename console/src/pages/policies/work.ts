/** Something that a button begins: whether it goes on, and why it was refused. */

import { useState } from "preact/hooks";
import { Refusal } from "../../api/client";

export interface Work {
  readonly isRunning: boolean;
  readonly refusal: Refusal | undefined;
  readonly begin: () => void;
}

export function useWork(work: () => Promise<unknown>): Work {
  const [state, setState] = useState<{ isRunning: boolean; refusal: Refusal | undefined }>({
    isRunning: false,
    refusal: undefined,
  });
  const begin = () => {
    setState({ isRunning: true, refusal: undefined });
    work().then(
      () => setState({ isRunning: false, refusal: undefined }),
      (error: unknown) => {
        const refusal = error instanceof Refusal ? error : new Refusal(0, "It could not be done", String(error), {});
        setState({ isRunning: false, refusal });
      },
    );
  };
  return { ...state, begin };
}
