/** Canonical JSON (RFC 8785): the one text of a value, which is what hashes are made of. */

/** Returns the canonical JSON of what `JSON.parse` gave; numbers are written as ECMAScript does, as the RFC has it. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (isRecord(value)) {
    // The order is that of UTF-16 code units, which is what this sort compares.
    const members = Object.keys(value).sort();
    return `{${members.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(",")}}`;
  }
  const text = typeof value === "number" && !Number.isFinite(value) ? undefined : JSON.stringify(value);
  if (text === undefined) throw new TypeError(`${String(value)} has no JSON`);
  return text;
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether `shown` says what `recorded` says; members that only it has must say nothing, as defaults do. */
export function saysTheSame(recorded: unknown, shown: unknown): boolean {
  if (!isRecord(recorded) || !isRecord(shown)) {
    if (!Array.isArray(recorded) || !Array.isArray(shown)) return canonical(recorded) === canonical(shown);
    return recorded.length === shown.length && recorded.every((part, at) => saysTheSame(part, shown[at]));
  }
  const isKept = Object.keys(recorded).every((name) =>
    Object.hasOwn(shown, name) ? saysTheSame(recorded[name], shown[name]) : isNothing(recorded[name]),
  );
  return isKept && Object.keys(shown).every((name) => Object.hasOwn(recorded, name) || isNothing(shown[name]));
}

function isNothing(value: unknown): boolean {
  return value === null || value === false || (Array.isArray(value) && value.length === 0);
}
