/** What is shown stays as it is in the control plane: asked again as it changes. */

import { useCallback, useEffect, useRef } from "preact/hooks";
import { isLive, type Kind, useChanges } from "./live";
import { type Loaded, useLoaded } from "./loading";

const SOON_MS = 250;
const LEAST_MS = 1000;
const UNTOLD_MS = 5000;

/**
 * Calls `told` some time after something of these kinds has changed, at most once in `least` milliseconds, and now and
 * then where changes are not told.
 */
export function useSoon(kinds: readonly Kind[], told: () => void, least = LEAST_MS): void {
  const latest = useRef(told);
  latest.current = told;
  const timer = useRef<number | undefined>(undefined);
  const last = useRef(0);
  const soon = useCallback(() => {
    if (timer.current !== undefined) return;
    const wait = Math.max(SOON_MS, least - (performance.now() - last.current));
    timer.current = window.setTimeout(() => {
      timer.current = undefined;
      last.current = performance.now();
      latest.current();
    }, wait);
  }, [least]);
  useChanges(kinds, soon);
  useEffect(() => () => window.clearTimeout(timer.current), []);
  const live = isLive.value;
  useEffect(() => {
    if (live) return;
    const asking = window.setInterval(soon, Math.max(UNTOLD_MS, least));
    return () => window.clearInterval(asking);
  }, [live, soon, least]);
}

/** As `useLoaded`, and again whenever something of these kinds has changed. */
export function useFresh<T>(
  load: (signal: AbortSignal) => Promise<T>,
  keys: readonly unknown[],
  kinds: readonly Kind[],
  least?: number,
): Loaded<T> {
  const loaded = useLoaded(load, keys);
  useSoon(
    kinds,
    () => {
      if (!loaded.isLoading) loaded.again();
    },
    least,
  );
  return loaded;
}
