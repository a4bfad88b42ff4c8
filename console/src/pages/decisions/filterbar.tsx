/** What is looked for: a form whose fields are the filters of the address. */

import { useEffect, useState } from "preact/hooks";
import { type Filter, type Filters, fieldOf, filtersOf, secondsOf } from "./filters";
import type { Row } from "./types";

const MOST_KNOWN = 60;

interface FilterBarProps {
  readonly filters: Filters;
  /** Decisions that are shown already: their words are proposed. */
  readonly rows: readonly Row[];
  readonly onChange: (filters: Filters) => void;
}

export function FilterBar({ filters, rows, onChange }: FilterBarProps) {
  // What is being typed is not lost when something else on the page changes.
  const [draft, setDraft] = useState(filters);
  const key = JSON.stringify(filters);
  useEffect(() => setDraft(filters), [key]);
  const type = (name: Filter) => (event: InputEvent) => {
    const { value } = event.currentTarget as HTMLInputElement;
    const text = name === "since" || name === "until" ? secondsOf(value) : value;
    setDraft((before) => ({ ...before, [name]: text }));
  };
  const apply = (event: Event) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const found = filtersOf(Object.fromEntries(new FormData(form)));
    const times = { since: secondsOf(found.since ?? ""), until: secondsOf(found.until ?? "") };
    const wanted = filtersOf({ ...found, ...times });
    if (JSON.stringify(wanted) !== key) onChange(wanted);
  };
  return (
    <search>
      <form class="filters" aria-label="Find decisions" onChange={apply} onSubmit={apply}>
        <label>
          Outcome
          <select name="outcome" value={draft.outcome ?? ""} onInput={type("outcome")}>
            <option value="">any</option>
            <option>allow</option>
            <option>deny</option>
            <option>error</option>
          </select>
        </label>
        <Field
          name="action"
          label="Action"
          value={draft.action}
          onInput={type("action")}
          known={wordsOf(rows, actions)}
        />
        <Field name="subject" label="Subject" value={draft.subject} onInput={type("subject")} />
        <Field name="resource" label="Resource" value={draft.resource} onInput={type("resource")} />
        <Field
          name="reason"
          label="Missing"
          value={draft.reason}
          onInput={type("reason")}
          known={wordsOf(rows, codes)}
        />
        <Field name="revision" label="Policy revision" value={draft.revision} onInput={type("revision")} />
        <Time name="since" label="From" value={draft.since} onInput={type("since")} />
        <Time name="until" label="Until" value={draft.until} onInput={type("until")} />
        <div class="filter-acts">
          <button type="submit">Find</button>
          <button type="button" class="quiet" onClick={() => onChange({})} disabled={key === "{}"}>
            Clear
          </button>
        </div>
      </form>
    </search>
  );
}

interface FieldProps {
  readonly name: Filter;
  readonly label: string;
  readonly value: string | undefined;
  readonly onInput: (event: InputEvent) => void;
  readonly known?: readonly string[];
}

function Field({ name, label, value, onInput, known }: FieldProps) {
  const list = known === undefined ? undefined : `known-${name}`;
  return (
    <label>
      {label}
      <input
        type="text"
        name={name}
        value={value ?? ""}
        onInput={onInput}
        list={list}
        maxLength={512}
        spellcheck={false}
      />
      {known === undefined ? null : (
        <datalist id={list}>
          {known.map((word) => (
            <option key={word} value={word} />
          ))}
        </datalist>
      )}
    </label>
  );
}

function Time({ name, label, value, onInput }: FieldProps) {
  return (
    <label>
      {label}
      <input type="datetime-local" name={name} step="1" value={fieldOf(value)} onInput={onInput} />
    </label>
  );
}

function actions(row: Row): readonly string[] {
  return [row.action];
}

function codes(row: Row): readonly string[] {
  return row.missing;
}

function wordsOf(rows: readonly Row[], of: (row: Row) => readonly string[]): readonly string[] {
  return [...new Set(rows.slice(0, 1000).flatMap(of))].sort().slice(0, MOST_KNOWN);
}
