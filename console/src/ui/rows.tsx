/** A table of any length: only the rows in sight are in the page, and the next ones are asked for as one nears the end. */

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

export interface Column<T> {
  readonly name: string;
  /** Width as CSS grid takes it, such as `8rem` or `1fr`. */
  readonly width: string;
  readonly cell: (row: T) => ComponentChildren;
}

interface Rows<T> {
  readonly label: string;
  readonly columns: readonly Column<T>[];
  readonly rows: readonly T[];
  readonly keyOf: (row: T) => string;
  readonly onOpen?: (row: T) => void;
  readonly chosen?: string | undefined;
  /** Called when the last rows come into sight; absent when there are no more. */
  readonly onEnd?: (() => void) | undefined;
  /** How many there are in all, where it is known. */
  readonly total?: number | undefined;
  readonly empty?: string;
}

const ROW_PIXELS = 34;
const BEYOND = 12;

export function RowList<T>({ label, columns, rows, keyOf, onOpen, chosen, onEnd, total, empty }: Rows<T>) {
  const view = useRef<HTMLDivElement>(null);
  const [seen, setSeen] = useState({ top: 0, height: 600 });
  const isEmpty = rows.length === 0 && empty !== undefined;
  useEffect(() => {
    const element = view.current;
    if (element === null) return;
    const look = () => setSeen({ top: element.scrollTop, height: element.clientHeight });
    look();
    const watch = new ResizeObserver(look);
    watch.observe(element);
    element.addEventListener("scroll", look, { passive: true });
    return () => {
      watch.disconnect();
      element.removeEventListener("scroll", look);
    };
  }, [isEmpty]);
  const first = Math.max(0, Math.floor(seen.top / ROW_PIXELS) - BEYOND);
  const last = Math.min(rows.length, Math.ceil((seen.top + seen.height) / ROW_PIXELS) + BEYOND);
  useEffect(() => {
    if (onEnd !== undefined && last >= rows.length) onEnd();
  }, [last, rows.length, onEnd]);
  const grid = { gridTemplateColumns: columns.map((column) => column.width).join(" ") };
  if (isEmpty) return <p class="empty">{empty}</p>;
  return (
    // biome-ignore lint/a11y/useSemanticElements: a table element cannot show a part of its rows at their places
    <div class="rows" role="table" aria-label={label} aria-rowcount={(total ?? rows.length) + 1}>
      {/* biome-ignore lint/a11y/useSemanticElements: as above */}
      <div role="rowgroup" class="rows-head">
        {/* biome-ignore lint/a11y/useSemanticElements: as above */}
        {/* biome-ignore lint/a11y/useFocusableInteractive: nothing is done with it */}
        <div role="row" aria-rowindex={1} class="row" style={grid}>
          {columns.map((column) => (
            // biome-ignore lint/a11y/useSemanticElements: as above
            // biome-ignore lint/a11y/useFocusableInteractive: as above
            <span role="columnheader" key={column.name}>
              {column.name}
            </span>
          ))}
        </div>
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by keyboard */}
      {/* biome-ignore lint/a11y/useSemanticElements: as above */}
      <div role="rowgroup" class="rows-body" ref={view} tabIndex={0} onKeyDown={step}>
        <div class="rows-all" style={{ height: `${rows.length * ROW_PIXELS}px` }} role="presentation">
          {rows.slice(first, last).map((row, number) => (
            // biome-ignore lint/a11y/useSemanticElements: as above
            <div
              role="row"
              tabIndex={onOpen === undefined ? -1 : 0}
              aria-rowindex={first + number + 2}
              aria-selected={chosen === undefined ? undefined : chosen === keyOf(row)}
              key={keyOf(row)}
              class={onOpen === undefined ? "row" : "row opens"}
              style={{ ...grid, top: `${(first + number) * ROW_PIXELS}px` }}
              onClick={() => onOpen?.(row)}
              onKeyDown={(event) => {
                if (event.key === "Enter" && event.target === event.currentTarget) onOpen?.(row);
              }}
            >
              {columns.map((column) => (
                // biome-ignore lint/a11y/useSemanticElements: as above
                <span role="cell" key={column.name}>
                  {column.cell(row)}
                </span>
              ))}
            </div>
          ))}
        </div>
      </div>
    </div>
  );
}

/** Goes from row to row with the arrow keys. */
function step(event: KeyboardEvent): void {
  const row = event.target;
  if (!(row instanceof HTMLElement) || row.getAttribute("role") !== "row") return;
  const next = { ArrowDown: row.nextElementSibling, ArrowUp: row.previousElementSibling }[event.key];
  if (!(next instanceof HTMLElement)) return;
  event.preventDefault();
  event.stopPropagation();
  next.focus();
}
