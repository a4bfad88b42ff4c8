/** The commands that do the same as the page. */

import "./acts.css";

export function Command({ text }: { text: string }) {
  return (
    <p class="command">
      <span>The same by command:</span> <code>{text}</code>
    </p>
  );
}

/** Several of them, a line each. */
export function Commands({ lines }: { lines: readonly string[] }) {
  return (
    <ul class="commands">
      {lines.map((line) => (
        <li key={line}>
          <code>{line}</code>
        </li>
      ))}
    </ul>
  );
}

const PLAIN = /^[\w./:@=-]+$/;

/** Returns a text as a shell takes it, whatever is in it. */
export function quoted(text: string): string {
  if (PLAIN.test(text)) return text;
  return `'${text.replaceAll("'", "'\\''")}'`;
}
