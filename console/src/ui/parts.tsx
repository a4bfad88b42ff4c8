/** Small parts that all pages share. */

import type { ComponentChildren } from "preact";
import type { Refusal } from "../api/client";

/** A word with its colour; the word alone says it too. */
export function Badge({ tone, children }: { tone: "good" | "bad" | "warn" | "plain"; children: ComponentChildren }) {
  return <span class={`badge ${tone}`}>{children}</span>;
}

const TONES: Readonly<Record<string, "good" | "bad" | "warn">> = {
  allow: "good",
  deny: "bad",
  error: "bad",
  active: "good",
  trusted: "good",
  watched: "warn",
  recovering: "warn",
  quarantined: "bad",
  revoked: "bad",
  held: "warn",
};

/** An outcome or a standing, in the colour that it has everywhere. */
export function Standing({ word }: { word: string }) {
  return <Badge tone={TONES[word] ?? "plain"}>{word}</Badge>;
}

/** Why something was not done, and what to do. */
export function Refused({ refusal }: { refusal: Refusal | undefined }) {
  if (refusal === undefined) return null;
  return (
    <div class="refused" role="alert">
      <strong>{refusal.title}</strong>
      {refusal.detail === "" ? null : <p>{refusal.detail}</p>}
      {refusal.fields.map(({ pointer, detail }) => (
        <p key={pointer}>
          <code>{pointer}</code>: {detail}
        </p>
      ))}
    </div>
  );
}

/** A moment, in the reader's own time; the exact one is in its title. */
export function Moment({ seconds }: { seconds: number }) {
  const when = new Date(seconds * 1000);
  return (
    <time dateTime={when.toISOString()} title={when.toISOString()}>
      {when.toLocaleString(undefined, { dateStyle: "short", timeStyle: "medium" })}
    </time>
  );
}

/** A part of a page under its own heading. */
export function Part({
  title,
  beside,
  children,
}: {
  title: string;
  beside?: ComponentChildren;
  children: ComponentChildren;
}) {
  return (
    <section class="part" aria-label={title}>
      <div class="part-head">
        <h2>{title}</h2>
        {beside}
      </div>
      {children}
    </section>
  );
}

/** A name that may be long, such as an id or a digest. */
export function Code({ text }: { text: string }) {
  return (
    <code class="id" title={text}>
      {text}
    </code>
  );
}
