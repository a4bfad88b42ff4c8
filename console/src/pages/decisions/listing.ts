/** The decisions that are looked for, a page after the other, and how many came since. */

import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { get, Refusal } from "../../api/client";
import { useChanges } from "../../api/live";
import { addressOf, type Filters } from "./filters";
import type { Decision, DecisionsFound, Row } from "./types";

const PAGE = 200;
/** So long after a change is looked, and so long passes between two looks: each is a decision of its own. */
const SOON_MS = 300;
const BETWEEN_MS = 3_000;
/** What is on record only because it was looked at here. */
const OWN_LOOKS: readonly string[] = ["decision:list", "decision:read", "policy:read", "changes:read"];

interface State {
  readonly rows: readonly Row[];
  readonly token: string;
  readonly isLoading: boolean;
  readonly refusal: Refusal | undefined;
}

export interface Listing extends State {
  /** Asks for the next page; absent where there is none, or one is asked for. */
  readonly more: (() => void) | undefined;
  /** Begins again with the newest. */
  readonly again: () => void;
}

const EMPTY: State = { rows: [], token: "", isLoading: true, refusal: undefined };

export function useListing(filters: Filters): Listing {
  const [state, setState] = useState(EMPTY);
  const running = useRef<AbortController>(undefined);
  const key = addressOf(filters);
  const load = useCallback(
    (token: string) => {
      running.current?.abort();
      const controller = new AbortController();
      running.current = controller;
      const settle = (how: (before: State) => State) => controller.signal.aborted || setState(how);
      setState((before) => ({ ...before, isLoading: true, refusal: undefined }));
      const query = { ...filters, limit: PAGE, page_token: token };
      get<DecisionsFound>("/v1/decisions", query, controller.signal).then(
        ({ decisions, next_token }) =>
          settle(({ rows }) => {
            const found = [...(token === "" ? [] : rows), ...decisions.map(rowOf)];
            return { rows: found, token: next_token, isLoading: false, refusal: undefined };
          }),
        (error: unknown) => settle((before) => ({ ...before, isLoading: false, refusal: refusalOf(error) })),
      );
    },
    [key],
  );
  useEffect(() => {
    setState(EMPTY);
    load("");
    return () => running.current?.abort();
  }, [load]);
  const more = useMemo(() => {
    const isMore = state.token !== "" && !state.isLoading && state.refusal === undefined;
    return isMore ? () => load(state.token) : undefined;
  }, [state, load]);
  const again = useCallback(() => load(""), [load]);
  return { ...state, more, again };
}

export interface Newer {
  readonly count: number;
  /** Whether there are more than were counted. */
  readonly isMore: boolean;
}

const NONE: Newer = { count: 0, isMore: false };

/** Counts what was decided since the listing began, as it happens; what this page's own looks leave is not counted. */
export function useNewer(filters: Filters, rows: readonly Row[], me: string): Newer {
  const [newer, setNewer] = useState(NONE);
  const newest = rows[0]?.id ?? "";
  const { tell, stop } = useMemo(() => {
    const began = Math.max(rows[0]?.time ?? Date.now() / 1000, Number(filters.since ?? 0));
    return counting(async (signal) => {
      const query = { ...filters, since: began.toFixed(3), limit: PAGE };
      const { decisions, next_token } = await get<DecisionsFound>("/v1/decisions", query, signal);
      const isNews = (one: Decision) => one.id > newest && !isOwnLook(one, me);
      setNewer({ count: decisions.filter(isNews).length, isMore: next_token !== "" });
      return next_token === "";
    });
  }, [addressOf(filters), newest, me]);
  useEffect(() => {
    setNewer(NONE);
    return stop;
  }, [stop]);
  useChanges(["decisions"], filters.until === undefined ? tell : nothing);
  return newer;
}

/** Counts soon after a change, and not too often; no more once there are more than one look finds. */
function counting(count: (signal: AbortSignal) => Promise<boolean>): { tell: () => void; stop: () => void } {
  const controller = new AbortController();
  let [timer, next]: [number | undefined, number] = [undefined, 0];
  const look = () => {
    timer = undefined;
    next = performance.now() + BETWEEN_MS;
    count(controller.signal).then(
      (isAll) => isAll || stop(),
      () => {},
    );
  };
  const tell = () => {
    if (timer !== undefined || controller.signal.aborted) return;
    timer = window.setTimeout(look, Math.max(SOON_MS, next - performance.now()));
  };
  const stop = () => {
    clearTimeout(timer);
    controller.abort();
  };
  return { tell, stop };
}

function nothing(): void {}

function rowOf({ id, time, action, subject, resource, outcome, reasons }: Decision): Row {
  return { id, time, action, subject, resource, outcome, missing: reasons.map((reason) => reason.code) };
}

function isOwnLook(decision: Decision, me: string): boolean {
  return decision.subject === me && OWN_LOOKS.includes(decision.action);
}

function refusalOf(error: unknown): Refusal {
  return error instanceof Refusal ? error : new Refusal(0, "Something went wrong", String(error), {});
}
