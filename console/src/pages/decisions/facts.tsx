/** The facts that a decision was made on, as a tree; what policy keeps out of the log is named where it would stand. */

import { isRecord } from "../../audit/canonical";
import { Badge } from "../../ui/parts";

interface FactsProps {
  readonly facts: Readonly<Record<string, unknown>>;
  /** JSON pointers to what is masked. */
  readonly masked: readonly string[];
  /** Paths with dots of what the rules that did not hold have read. */
  readonly read: ReadonlySet<string>;
}

interface Marks {
  readonly masked: ReadonlySet<string>;
  readonly read: ReadonlySet<string>;
}

export function Facts({ facts, masked, read }: FactsProps) {
  const marks = { masked: new Set(masked), read };
  return (
    <ul class="facts">
      {Object.entries(facts).map(([name, value]) => (
        <Fact key={name} name={name} value={value} path={[name]} marks={marks} />
      ))}
    </ul>
  );
}

interface FactProps {
  readonly name: string;
  readonly value: unknown;
  readonly path: readonly string[];
  readonly marks: Marks;
}

function Fact({ name, value, path, marks }: FactProps) {
  const isMasked = marks.masked.has(pointerOf(path));
  const parts = isMasked ? [] : partsOf(value);
  if (parts.length === 0) {
    return (
      <li>
        <span class="fact">{name}</span>{" "}
        {isMasked ? <Badge tone="warn">kept out of the log by policy</Badge> : <Value value={value} />}{" "}
        {marks.read.has(path.join(".")) ? <Badge tone="plain">read by what was missing</Badge> : null}
      </li>
    );
  }
  return (
    <li>
      <details open>
        <summary>{name}</summary>
        <ul>
          {parts.map(([part, below]) => (
            <Fact key={part} name={part} value={below} path={[...path, part]} marks={marks} />
          ))}
        </ul>
      </details>
    </li>
  );
}

/** A value as JSON writes it; a text without its quotes where it cannot be taken for something else. */
export function Value({ value }: { value: unknown }) {
  return <code class="value">{textOf(value)}</code>;
}

export function textOf(value: unknown): string {
  if (value === undefined) return "nothing";
  return JSON.stringify(value, (_, part) => part, isRecord(value) ? 1 : undefined);
}

/** Returns what stands below a value; nothing for a list of plain values, which is shown on a line. */
function partsOf(value: unknown): readonly [string, unknown][] {
  if (Array.isArray(value)) {
    return value.some((part) => typeof part === "object" && part !== null)
      ? value.map((part, at) => [String(at), part])
      : [];
  }
  return isRecord(value) ? Object.entries(value) : [];
}

function pointerOf(path: readonly string[]): string {
  return path.map((step) => `/${step.replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}
