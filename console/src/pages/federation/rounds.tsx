/** Rounds, newest first, as they happen. */

import { useEffect } from "preact/hooks";
import { useLocation } from "preact-iso";
import { addressed, get } from "../../api/client";
import { useFresh } from "../../api/fresh";
import { Command } from "../../ui/command";
import { Badge, Moment, Part, Refused } from "../../ui/parts";
import { type Column, RowList } from "../../ui/rows";
import type { RoundStanding } from "./types";

const MOST = 500;
const LEAST_MS = 1000;

const COLUMNS: readonly Column<RoundStanding>[] = [
  { name: "Round", width: "minmax(10rem, 2fr)", cell: (round) => <span class="mono">{round.id}</span> },
  {
    name: "State",
    width: "5rem",
    cell: (round) => <Badge tone={round.state === "open" ? "good" : "plain"}>{round.state}</Badge>,
  },
  { name: "Opened", width: "11.5rem", cell: (round) => <Moment seconds={round.opens_at} /> },
  { name: "Members", width: "4.5rem", cell: (round) => round.members },
  { name: "Accepted", width: "4.5rem", cell: (round) => round.accepted },
  { name: "Refused", width: "4.5rem", cell: (round) => round.dropped },
  { name: "Model", width: "minmax(6rem, 1fr)", cell: (round) => round.model },
];

/** What is left out where a round stands beside the list. */
const BESIDE = new Set(["Members", "Model"]);

export function Rounds({ chosen }: { chosen: string | undefined }) {
  const { query, route } = useLocation();
  const found = useFresh(
    (signal) => get<{ rounds: readonly RoundStanding[] }>("/v1/rounds", { limit: MOST }, signal),
    [],
    ["rounds"],
  );
  const rounds = found.value?.rounds ?? [];
  useClosing(rounds, found.again);
  const open = rounds.filter((round) => round.state === "open").length;
  return (
    <Part
      title="Rounds"
      beside={
        <span role="status">{found.value === undefined ? "Loading …" : `${rounds.length} rounds, ${open} open`}</span>
      }
    >
      <Refused refusal={found.refusal} />
      {found.value === undefined ? null : (
        <RowList
          label="Rounds"
          columns={chosen === undefined ? COLUMNS : COLUMNS.filter((column) => !BESIDE.has(column.name))}
          rows={rounds}
          keyOf={(round) => round.id}
          chosen={chosen ?? ""}
          empty="No round was opened yet."
          onOpen={(round) =>
            route(addressed(`/console/federation/${encodeURIComponent(round.id)}`, { device: query.device }))
          }
        />
      )}
      <Command text="ztfm rounds list" />
    </Part>
  );
}

/** Asks again when the next round closes: nobody tells of that, its time is over. */
function useClosing(rounds: readonly RoundStanding[], again: () => void): void {
  const next = Math.min(...rounds.filter((round) => round.state === "open").map((round) => round.closes_at));
  useEffect(() => {
    if (!Number.isFinite(next)) return;
    const waiting = window.setTimeout(again, Math.max(LEAST_MS, next * 1000 - Date.now() + LEAST_MS));
    return () => window.clearTimeout(waiting);
  }, [next, again]);
}
