/** Which decisions are looked for: kept in the address of the page, in the words of `GET /v1/decisions`. */

const NAMES = ["outcome", "action", "subject", "resource", "reason", "revision", "since", "until"] as const;

export type Filter = (typeof NAMES)[number];
export type Filters = Readonly<Partial<Record<Filter, string>>>;

/** Returns the filters of an address, or of a form; what says nothing is none. */
export function filtersOf(given: Readonly<Record<string, unknown>>): Filters {
  const stated = NAMES.map((name) => [name, String(given[name] ?? "").trim()]).filter(([, text]) => text !== "");
  return Object.fromEntries(stated);
}

/** Returns the address of the page, of one decision where that is named, with filters. */
export function addressOf(filters: Filters, id?: string): string {
  const query = new URLSearchParams(NAMES.flatMap((name) => (filters[name] ? [[name, filters[name]]] : []))).toString();
  return `/console/decisions${id === undefined ? "" : `/${id}`}${query === "" ? "" : `?${query}`}`;
}

/** Returns the command that finds the same. */
export function commandOf(filters: Filters): string {
  const options = NAMES.flatMap((name) => {
    const text = filters[name];
    if (text === undefined) return [];
    return [`--${name} ${quoted(name === "since" || name === "until" ? momentOf(text) : text)}`];
  });
  return ["ztfm decisions list", ...options].join(" ");
}

/** Returns a text as a shell takes it. */
export function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** Returns a time as a field for dates shows it, in the reader's own time; nothing for what is none. */
export function fieldOf(seconds: string | undefined): string {
  const when = new Date(Number(seconds ?? "") * 1000);
  if (!seconds || Number.isNaN(when.getTime())) return "";
  const local = new Date(when.getTime() - when.getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 19);
}

/** Returns the Unix seconds of such a field. */
export function secondsOf(field: string): string {
  const when = new Date(field).getTime();
  return Number.isNaN(when) ? "" : String(when / 1000);
}

function momentOf(seconds: string): string {
  const when = new Date(Number(seconds) * 1000);
  return Number.isNaN(when.getTime()) ? seconds : when.toISOString().replace(".000Z", "Z");
}
