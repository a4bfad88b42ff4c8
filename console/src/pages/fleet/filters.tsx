/** What the list is narrowed by, kept in the page's address. */

import { useEffect, useState } from "preact/hooks";
import type { Query } from "../../api/client";
import { quoted } from "../../ui/command";

export const FILTERS = ["text", "state", "status", "segment", "below", "sort"] as const;

export type Filters = Readonly<Partial<Record<(typeof FILTERS)[number], string>>>;

const STATES = ["trusted", "watched", "recovering", "quarantined", "held", "revoked"];
const STATUSES = ["active", "quarantined", "revoked"];
const LATER_MS = 300;

/** Returns what of the address are filters. */
export function filtersOf(query: Readonly<Record<string, string>>): Filters {
  return Object.fromEntries(FILTERS.flatMap((name) => (query[name] ? [[name, query[name]]] : [])));
}

/** Returns the command that lists the same. */
export function commandOf(filters: Filters): string {
  const options = FILTERS.flatMap((name) => (filters[name] ? [` --${name} ${quoted(filters[name])}`] : []));
  return `ztfm devices list${options.join("")}`;
}

interface Chosen {
  readonly filters: Filters;
  readonly onChange: (filters: Query) => void;
}

export function FilterBar({ filters, onChange }: Chosen) {
  const set = (name: keyof Filters, value: string) => onChange({ ...filters, [name]: value });
  return (
    <search class="filters">
      <Typed label="Text in id, role or segment" value={filters.text ?? ""} onType={(text) => set("text", text)} />
      <Choice label="State" name="state" values={STATES} filters={filters} onChoose={set} />
      <Choice label="Status" name="status" values={STATUSES} filters={filters} onChoose={set} />
      <Typed label="Segment" value={filters.segment ?? ""} onType={(segment) => set("segment", segment)} />
      <label>
        Trust below
        <input
          type="number"
          min="0"
          max="1"
          step="0.05"
          value={filters.below ?? ""}
          onChange={(event) => set("below", event.currentTarget.value)}
        />
      </label>
      <label>
        Order
        <select value={filters.sort ?? "id"} onChange={(event) => set("sort", event.currentTarget.value)}>
          <option value="id">by id</option>
          <option value="trust">least trust first</option>
        </select>
      </label>
      <button type="button" onClick={() => onChange({})} disabled={Object.keys(filters).length === 0}>
        All
      </button>
    </search>
  );
}

interface Listed {
  readonly label: string;
  readonly name: "state" | "status";
  readonly values: readonly string[];
  readonly filters: Filters;
  readonly onChoose: (name: keyof Filters, value: string) => void;
}

function Choice({ label, name, values, filters, onChoose }: Listed) {
  return (
    <label>
      {label}
      <select value={filters[name] ?? ""} onChange={(event) => onChoose(name, event.currentTarget.value)}>
        <option value="">any</option>
        {values.map((value) => (
          <option key={value} value={value}>
            {value}
          </option>
        ))}
      </select>
    </label>
  );
}

/** A text that counts once nobody types for a moment. */
function Typed({ label, value, onType }: { label: string; value: string; onType: (text: string) => void }) {
  const [text, write] = useState(value);
  useEffect(() => write(value), [value]);
  useEffect(() => {
    if (text === value) return;
    const later = window.setTimeout(() => onType(text.trim()), LATER_MS);
    return () => window.clearTimeout(later);
  });
  return (
    <label>
      {label}
      <input type="search" maxLength={64} value={text} onInput={(event) => write(event.currentTarget.value)} />
    </label>
  );
}
