/** One measure over rounds: a dot a round, with what was expected where that is known, and the table of it. */

import "./charts.css";
import { placeOn, scaleOf, shortly } from "./scale";

export interface Dot {
  readonly name: string;
  readonly value: number;
  /** What peers had; absent where nobody said. */
  readonly expected?: number | undefined;
  readonly isBad: boolean;
  /** What became of it, in a word. */
  readonly word: string;
}

const WIDE = 640;
const HIGH = 180;
const LEFT = 52;
const BELOW = 14;

export function Dots({ label, dots, first = "round" }: { label: string; dots: readonly Dot[]; first?: string }) {
  const expected = dots.flatMap((dot) => (dot.expected === undefined ? [] : [dot.expected]));
  const scale = scaleOf([...dots.map((dot) => dot.value), ...expected]);
  const x = (number: number) => LEFT + ((number + 0.5) / Math.max(1, dots.length)) * (WIDE - LEFT - 8);
  const y = (value: number) => 8 + (1 - placeOn(scale, value)) * (HIGH - BELOW - 8);
  const line = dots.map((dot, number) => `${x(number).toFixed(1)},${y(dot.value).toFixed(1)}`).join(" ");
  return (
    <figure class="dots">
      <svg viewBox={`0 0 ${WIDE} ${HIGH}`} role="img" aria-label={`${label}: ${summary(dots)}`}>
        {scale.ticks.map((tick) => (
          <g key={tick}>
            <line class="across" x1={LEFT} x2={WIDE} y1={y(tick)} y2={y(tick)} />
            <text class="tick" x={LEFT - 6} y={y(tick) + 4} text-anchor="end">
              {shortly(tick)}
            </text>
          </g>
        ))}
        <polyline class="run" points={line} />
        {dots.map((dot, number) => (
          <g key={dot.name}>
            {dot.expected === undefined ? null : (
              <line class="expected" x1={x(number) - 5} x2={x(number) + 5} y1={y(dot.expected)} y2={y(dot.expected)} />
            )}
            {dot.isBad ? (
              <rect class="dot bad" x={x(number) - 4} y={y(dot.value) - 4} width="8" height="8">
                <title>{told(dot)}</title>
              </rect>
            ) : (
              <circle class="dot" cx={x(number)} cy={y(dot.value)} r="4">
                <title>{told(dot)}</title>
              </circle>
            )}
          </g>
        ))}
      </svg>
      <details>
        <summary>As a table</summary>
        <DotTable label={label} dots={dots} first={first} hasPeers={expected.length > 0} />
      </details>
    </figure>
  );
}

interface Tabled {
  readonly label: string;
  readonly dots: readonly Dot[];
  readonly first: string;
  readonly hasPeers: boolean;
}

function DotTable({ label, dots, first, hasPeers }: Tabled) {
  return (
    <table aria-label={label}>
      <thead>
        <tr>
          <th scope="col">{first}</th>
          <th scope="col">value</th>
          {hasPeers ? <th scope="col">peers</th> : null}
          <th scope="col">update</th>
        </tr>
      </thead>
      <tbody>
        {dots.map((dot) => (
          <tr key={dot.name}>
            <th scope="row">{dot.name}</th>
            <td>{shortly(dot.value)}</td>
            {hasPeers ? <td>{dot.expected === undefined ? "–" : shortly(dot.expected)}</td> : null}
            <td>{dot.word}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function told(dot: Dot): string {
  return `${dot.name}: ${shortly(dot.value)}, ${dot.word}`;
}

function summary(dots: readonly Dot[]): string {
  const last = dots.at(-1);
  if (last === undefined) return "nothing was measured";
  const values = dots.map((dot) => dot.value);
  return `${dots.length} rounds, from ${shortly(Math.min(...values))} to ${shortly(Math.max(...values))}, at last ${shortly(last.value)}`;
}
