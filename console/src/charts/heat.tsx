/** Numbers in two directions, darker where larger. It is a table, so whoever cannot see colours reads the numbers. */

import type { ComponentChildren } from "preact";
import "./charts.css";
import { shortly } from "./scale";

export interface HeatRow {
  readonly name: string;
  readonly head?: ComponentChildren;
  readonly values: Readonly<Record<string, number>>;
  readonly isBad?: boolean;
}

interface Heated {
  readonly label: string;
  readonly corner: string;
  readonly columns: readonly string[];
  readonly rows: readonly HeatRow[];
}

/** So much of the accent colour at most that the text on it keeps its contrast in both themes. */
const MOST_PERCENT = 40;

export function Heat({ label, corner, columns, rows }: Heated) {
  const all = rows.flatMap((row) => columns.map((column) => Math.abs(row.values[column] ?? 0)));
  const most = Math.max(1e-9, ...all);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by keyboard
    <section class="heat" aria-label={label} tabIndex={0}>
      <table aria-label={label}>
        <thead>
          <tr>
            <th scope="col">{corner}</th>
            {columns.map((column) => (
              <th key={column} scope="col" class="layer">
                <span title={column}>{column}</span>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.name} class={row.isBad ? "apart" : undefined}>
              <th scope="row">{row.head ?? row.name}</th>
              {columns.map((column) => (
                <td key={column} style={{ backgroundColor: shade(row.values[column], most) }}>
                  {row.values[column] === undefined ? "–" : shortly(row.values[column])}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function shade(value: number | undefined, most: number): string {
  const percent = Math.round((MOST_PERCENT * Math.abs(value ?? 0)) / most);
  return `color-mix(in srgb, var(--${(value ?? 0) < 0 ? "warn" : "accent"}) ${percent}%, var(--sheet))`;
}

/** Returns the columns of which any row has most, and in the order in which they weigh. */
export function heaviest(rows: readonly HeatRow[], most: number): string[] {
  const weights = new Map<string, number>();
  for (const row of rows) {
    for (const [name, value] of Object.entries(row.values)) {
      weights.set(name, Math.max(weights.get(name) ?? 0, Math.abs(value)));
    }
  }
  return [...weights.entries()]
    .sort(([one, a], [other, b]) => b - a || one.localeCompare(other))
    .slice(0, most)
    .map(([name]) => name);
}
