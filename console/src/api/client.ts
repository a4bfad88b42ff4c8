/** The one way to the control plane: same origin, the session's cookie, and problems as they are told (RFC 9457). */

/** What went wrong with one field of what was sent. */
export interface FieldError {
  /** JSON pointer to the field. */
  readonly pointer: string;
  readonly detail: string;
}

/** Why the control plane did not do what was asked, in its own words. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    readonly document: Readonly<Record<string, unknown>>,
    readonly headers: Headers = new Headers(),
  ) {
    super(detail === "" ? title : `${title}. ${detail}`);
  }

  /** What is wrong with which fields of what was sent, where the control plane says so. */
  get fields(): readonly FieldError[] {
    const { errors } = this.document;
    return Array.isArray(errors) ? errors.filter((one) => typeof one?.pointer === "string") : [];
  }

  /** Whether nobody is signed in, or no more. */
  get isSignedOut(): boolean {
    return this.status === 401;
  }
}

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

export interface Asked {
  readonly query?: Query;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** Tells whoever keeps the session that it has ended. */
let onSignedOut: () => void = () => {};

export function whenSignedOut(told: () => void): void {
  onSignedOut = told;
}

/** Returns a path with its query; what is undefined or empty is left out. */
export function addressed(path: string, query: Query = {}): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return text === "" ? path : `${path}?${text}`;
}

/** Asks, and returns the answer before anything of it is read; anything but success is thrown as a `Refusal`. */
export async function ask(method: string, path: string, asked: Asked = {}): Promise<Response> {
  const headers = new Headers(asked.headers);
  headers.set("X-ZTFM-Console", "1");
  const init: RequestInit = { method, headers, credentials: "same-origin", signal: asked.signal ?? null };
  if (asked.body instanceof Blob || asked.body instanceof Uint8Array) {
    init.body = asked.body as BodyInit;
  } else if (asked.body !== undefined) {
    headers.set("Content-Type", "application/json");
    init.body = JSON.stringify(asked.body);
  }
  let response: Response;
  try {
    response = await fetch(addressed(path, asked.query), init);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Refusal(0, "The control plane cannot be reached", "Does it run? Try again in a moment.", {});
  }
  if (!response.ok) throw await refusalOf(response);
  return response;
}

/** Asks, and returns the answer's JSON. */
export async function call<T>(method: string, path: string, asked: Asked = {}): Promise<T> {
  const response = await ask(method, path, asked);
  return (response.status === 204 ? undefined : await response.json()) as T;
}

export function get<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  return call<T>("GET", path, signal === undefined ? { query } : { query, signal });
}

async function refusalOf(response: Response): Promise<Refusal> {
  const document: Record<string, unknown> = await response.json().catch(() => ({}));
  const text = (name: string) => (typeof document[name] === "string" ? (document[name] as string) : "");
  const refusal = new Refusal(
    response.status,
    text("title") || `HTTP ${response.status}`,
    text("detail"),
    document,
    response.headers,
  );
  if (refusal.isSignedOut) onSignedOut();
  return refusal;
}
