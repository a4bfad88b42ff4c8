import { expect, test } from "vitest";
import { column, edgesOf, heightFor, widthOf } from "./edges";
import type { Grant, GrantTable } from "./types";

function grant(changes: Partial<Grant>): Grant {
  return {
    id: "cap-1",
    device: "dev-1",
    source: "192.168.7.1",
    service: "gateway",
    expires_at: 100,
    decision: "dec-1",
    segment: "homes",
    site: "house-7",
    device_class: "camera",
    ...changes,
  };
}

function table(...grants: readonly Grant[]): GrantTable {
  return { revision: "a", policy_revision: "b", made_at: 1, services: {}, grants, cuts: [] };
}

test("grants of one segment to one service are one edge, with each device counted once", () => {
  const found = edgesOf(
    table(
      grant({}),
      grant({ id: "cap-2", expires_at: 300 }),
      grant({ id: "cap-3", device: "dev-2" }),
      grant({ service: "aggregator" }),
      grant({ segment: "guests" }),
    ),
    "segment",
  );
  expect(found.map((edge) => [edge.id, edge.grants.length, edge.devices, edge.until])).toEqual([
    ["guests → gateway", 1, 1, 100],
    ["homes → aggregator", 1, 1, 100],
    ["homes → gateway", 3, 2, 300],
  ]);
});

test("every grant is in exactly one edge, whatever it is grouped by", () => {
  const grants = Array.from({ length: 300 }, (_, number) =>
    grant({ id: `cap-${number}`, segment: `s-${number % 40}`, site: `h-${number % 7}`, service: `x-${number % 3}` }),
  );
  for (const by of ["segment", "site", "device_class"] as const) {
    const ids = edgesOf(table(...grants), by).flatMap((edge) => edge.grants.map((one) => one.id));
    expect([...ids].sort()).toEqual(grants.map((one) => one.id).sort());
  }
});

test("boxes of a column do not overlap", () => {
  const names = Array.from({ length: 30 }, (_, number) => String(number));
  const places = column(names, heightFor(names.length, 2)).map((one) => one.y);
  for (const [number, y] of places.slice(1).entries()) expect(y - (places[number] ?? 0)).toBeGreaterThan(36);
});

test("an edge of more grants is wider, and never as wide as a box is high", () => {
  const wide = (count: number) => {
    const [edge] = edgesOf(table(...Array.from({ length: count }, (_, n) => grant({ id: `cap-${n}` }))), "segment");
    return edge === undefined ? 0 : widthOf(edge);
  };
  expect(wide(2)).toBeGreaterThan(wide(1));
  expect(wide(5000)).toBeLessThan(30);
});
