/** A list of which the control plane gives a page at a time: the next one is asked for as somebody nears the end. */

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { get, type Query, Refusal } from "../../api/client";
import type { DevicesFound, Listed } from "./types";

const PAGE = 200;

export interface Paged {
  readonly devices: readonly Listed[];
  readonly total: number | undefined;
  readonly refusal: Refusal | undefined;
  readonly isLoading: boolean;
  /** Asks for the next page; absent where there is none. */
  readonly more: (() => void) | undefined;
  /** Begins again with the first page. */
  readonly again: () => void;
}

interface Kept {
  readonly devices: readonly Listed[];
  readonly total: number | undefined;
  readonly next: string;
  readonly refusal: Refusal | undefined;
  readonly isLoading: boolean;
}

const NOTHING: Kept = { devices: [], total: undefined, next: "", refusal: undefined, isLoading: true };

/** Lists devices by these filters, from the first page on whenever they change. */
export function useDevices(filters: Query): Paged {
  const asked = JSON.stringify(filters);
  const [kept, keep] = useState<Kept>(NOTHING);
  const running = useRef<AbortController>(undefined);
  const ask = useCallback(
    async (token: string) => {
      running.current?.abort();
      const controller = new AbortController();
      running.current = controller;
      keep((before) => ({ ...before, isLoading: true }));
      try {
        const query = { ...JSON.parse(asked), limit: PAGE, page_token: token };
        const found = await get<DevicesFound>("/v1/devices", query, controller.signal);
        if (controller.signal.aborted) return;
        keep((before) => ({
          devices: token === "" ? found.devices : [...before.devices, ...found.devices],
          total: found.total,
          next: found.next_token,
          refusal: undefined,
          isLoading: false,
        }));
      } catch (error) {
        if (controller.signal.aborted) return;
        const refusal = error instanceof Refusal ? error : new Refusal(0, "Something went wrong", String(error), {});
        keep((before) => ({ ...before, next: "", refusal, isLoading: false }));
      }
    },
    [asked],
  );
  useEffect(() => {
    ask("");
    return () => running.current?.abort();
  }, [ask]);
  const { devices, total, next, refusal, isLoading } = kept;
  const more = next === "" || isLoading ? undefined : () => ask(next);
  return { devices, total, refusal, isLoading, more, again: () => ask("") };
}
