/** What a page asks for: loading, loaded, or refused; asked again when told to. */

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { Refusal } from "./client";

export interface Loaded<T> {
  readonly value: T | undefined;
  readonly refusal: Refusal | undefined;
  readonly isLoading: boolean;
  readonly again: () => void;
}

/** Asks when the page is shown and when `keys` change; an earlier answer stays until the next one is there. */
export function useLoaded<T>(load: (signal: AbortSignal) => Promise<T>, keys: readonly unknown[]): Loaded<T> {
  const [state, setState] = useState<Omit<Loaded<T>, "again">>({
    value: undefined,
    refusal: undefined,
    isLoading: true,
  });
  const running = useRef<AbortController>(undefined);
  const again = useCallback(() => {
    running.current?.abort();
    const controller = new AbortController();
    running.current = controller;
    setState((before) => ({ ...before, isLoading: true }));
    load(controller.signal).then(
      (value) => {
        if (!controller.signal.aborted) setState({ value, refusal: undefined, isLoading: false });
      },
      (error: unknown) => {
        if (controller.signal.aborted) return;
        const refusal = error instanceof Refusal ? error : new Refusal(0, "Something went wrong", String(error), {});
        setState((before) => ({ value: before.value, refusal, isLoading: false }));
      },
    );
  }, keys);
  useEffect(() => {
    again();
    return () => running.current?.abort();
  }, [again]);
  return { ...state, again };
}
