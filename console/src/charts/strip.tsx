/** How many there are of each kind: a strip whose parts are as wide as they are many, and the table of it. */

import "./charts.css";

export type Tone = "good" | "warn" | "bad" | "plain" | "faint";

export interface Counted {
  readonly name: string;
  readonly count: number;
  readonly tone: Tone;
}

const WIDE = 100;

export function Strip({ label, parts, what }: { label: string; parts: readonly Counted[]; what: string }) {
  const all = parts.reduce((sum, part) => sum + part.count, 0);
  let from = 0;
  return (
    <figure class="strip">
      <svg viewBox={`0 0 ${WIDE} 10`} preserveAspectRatio="none" aria-hidden="true">
        {parts.map((part) => {
          const width = all === 0 ? 0 : (WIDE * part.count) / all;
          const at = from;
          from += width;
          return <rect key={part.name} class={`fill ${part.tone}`} x={at} y="0" width={width} height="10" />;
        })}
      </svg>
      <table aria-label={label}>
        <thead>
          <tr>
            <th scope="col">{what}</th>
            <th scope="col">devices</th>
            <th scope="col">share</th>
          </tr>
        </thead>
        <tbody>
          {parts.map((part) => (
            <tr key={part.name}>
              <th scope="row">
                <span class={`swatch ${part.tone}`} aria-hidden="true" /> {part.name}
              </th>
              <td>{part.count}</td>
              <td>{all === 0 ? "–" : `${Math.round((100 * part.count) / all)} %`}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </figure>
  );
}
