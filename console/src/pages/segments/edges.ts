/** Grants as a graph: those of one group to one service are one edge. Pure. */

import type { Grant, GrantTable } from "./types";

export const GROUPINGS = { segment: "segment", site: "site", device_class: "class of device" } as const;

export type Grouping = keyof typeof GROUPINGS;

export interface Edge {
  readonly id: string;
  readonly from: string;
  readonly to: string;
  readonly grants: readonly Grant[];
  readonly devices: number;
  /** When the last of its grants ends, Unix seconds. */
  readonly until: number;
}

/** Returns the edges of a table, by where they begin and where they end. */
export function edgesOf(table: GrantTable, by: Grouping): Edge[] {
  const found = new Map<string, Grant[]>();
  for (const grant of table.grants) {
    const id = `${grant[by]} → ${grant.service}`;
    const grants = found.get(id);
    if (grants === undefined) found.set(id, [grant]);
    else grants.push(grant);
  }
  return [...found.entries()]
    .map(([id, grants]) => edge(id, grants, by))
    .sort((one, other) => one.from.localeCompare(other.from) || one.to.localeCompare(other.to));
}

function edge(id: string, grants: readonly Grant[], by: Grouping): Edge {
  const [first] = grants;
  return {
    id,
    from: first?.[by] ?? "",
    to: first?.service ?? "",
    grants,
    devices: new Set(grants.map((grant) => grant.device)).size,
    until: Math.max(...grants.map((grant) => grant.expires_at)),
  };
}

export interface Placed {
  readonly name: string;
  readonly y: number;
}

const ROW = 46;

/** Returns how high a column of so many boxes is, and the middle of each box, spread evenly over `high`. */
export function column(names: readonly string[], high: number): Placed[] {
  const step = high / Math.max(1, names.length);
  return names.map((name, number) => ({ name, y: step * (number + 0.5) }));
}

export function heightFor(...counts: readonly number[]): number {
  return Math.max(2, ...counts) * ROW;
}

/** How wide an edge is drawn: it grows with the number of its grants, ever more slowly. */
export function widthOf(edge: Edge): number {
  return 1.5 + 1.5 * Math.log2(edge.grants.length + 1);
}
