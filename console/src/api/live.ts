/** What changes in the control plane, as it happens (server-sent events of `GET /v1/changes`). */

import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";

export type Kind = "rounds" | "devices" | "decisions" | "policies" | "rollbacks";

const KINDS: readonly Kind[] = ["rounds", "devices", "decisions", "policies", "rollbacks"];

/** Whether changes reach this page at once; else pages ask by themselves now and then. */
export const isLive = signal(false);

const listeners = new Map<Kind, Set<() => void>>(KINDS.map((kind) => [kind, new Set()]));
let source: EventSource | undefined;

export function follow(): void {
  unfollow();
  source = new EventSource("/v1/changes");
  source.onopen = () => {
    isLive.value = true;
  };
  source.onerror = () => {
    isLive.value = false;
  };
  for (const kind of KINDS) {
    source.addEventListener(kind, () => {
      for (const told of listeners.get(kind) ?? []) told();
    });
  }
}

export function unfollow(): void {
  source?.close();
  source = undefined;
  isLive.value = false;
}

/** Calls `told` when something of these kinds has changed, for as long as the component is shown. */
export function useChanges(kinds: readonly Kind[], told: () => void): void {
  useEffect(() => {
    for (const kind of kinds) listeners.get(kind)?.add(told);
    return () => {
      for (const kind of kinds) listeners.get(kind)?.delete(told);
    };
  });
}
