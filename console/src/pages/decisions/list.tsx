/** The decisions that were found, newest first. */

import { useRef } from "preact/hooks";
import { Moment, Refused, Standing } from "../../ui/parts";
import { type Column, RowList } from "../../ui/rows";
import type { Listing, Newer } from "./listing";
import type { Row } from "./types";

const WHEN: Column<Row> = { name: "When", width: "12.5rem", cell: (row) => <Moment seconds={row.time} /> };
const OUTCOME: Column<Row> = { name: "Outcome", width: "4.5rem", cell: (row) => <Standing word={row.outcome} /> };
const ACTION: Column<Row> = { name: "Action", width: "minmax(7rem, 1fr)", cell: (row) => row.action };
const SUBJECT: Column<Row> = {
  name: "Subject",
  width: "minmax(6rem, 1.2fr)",
  cell: (row) => <span title={row.subject}>{row.subject}</span>,
};
const RESOURCE: Column<Row> = {
  name: "Resource",
  width: "minmax(6rem, 1fr)",
  cell: (row) => <span title={row.resource}>{row.resource}</span>,
};
const MISSING: Column<Row> = {
  name: "Missing",
  width: "minmax(8rem, 1.6fr)",
  cell: (row) => row.missing.join(", "),
};

const WIDE = [WHEN, OUTCOME, ACTION, SUBJECT, RESOURCE, MISSING];
const BESIDE = [WHEN, OUTCOME, ACTION, MISSING];

interface DecisionListProps {
  readonly listing: Listing;
  readonly newer: Newer;
  readonly chosen: string | undefined;
  readonly onOpen: (decision: Row) => void;
}

export function DecisionList({ listing, newer, chosen, onOpen }: DecisionListProps) {
  const { rows, isLoading, refusal, more, again } = listing;
  const isAtEnd = !isLoading && more === undefined && refusal === undefined;
  const sheet = useRef<HTMLDivElement>(null);
  const begin = () => {
    again();
    sheet.current?.querySelector(".rows-body")?.scrollTo({ top: 0 });
  };
  return (
    <div ref={sheet}>
      <div class="found">
        <span role="status">
          {isLoading ? "Looking …" : isAtEnd ? `${counted(rows.length)} in all` : `the newest ${counted(rows.length)}`}
        </span>
        <span class="newer" aria-live="polite">
          {newer.count === 0 ? null : (
            <button type="button" class="main" onClick={begin}>
              {newer.count}
              {newer.isMore ? "+" : ""} newer
            </button>
          )}
        </span>
        <button type="button" onClick={begin} disabled={isLoading}>
          {refusal === undefined ? "Look again" : "Begin again"}
        </button>
      </div>
      <Refused refusal={refusal} />
      {rows.length > 0 ? (
        <RowList
          label="Decisions"
          columns={chosen === undefined ? WIDE : BESIDE}
          rows={rows}
          keyOf={(row) => row.id}
          onOpen={onOpen}
          chosen={chosen}
          onEnd={more}
        />
      ) : null}
      {rows.length === 0 && isAtEnd ? <p class="empty">No decision is on record that fits.</p> : null}
      {rows.length === 0 && more !== undefined ? (
        <p class="empty">
          None among those that were looked through.{" "}
          <button type="button" onClick={more}>
            Look through older ones
          </button>
        </p>
      ) : null}
    </div>
  );
}

function counted(count: number): string {
  return `${count.toLocaleString()} ${count === 1 ? "decision" : "decisions"}`;
}
