/** Who may talk to whom: groups of devices on the left, services on the right, an edge where there are grants. */

import { column, type Edge, heightFor, widthOf } from "./edges";

const WIDE = 640;
const BOX = 190;
const HALF = 16;

interface Drawn {
  readonly edges: readonly Edge[];
  readonly services: readonly string[];
  readonly chosen: string | undefined;
  readonly onChoose: (id: string) => void;
}

export function Graph({ edges, services, chosen, onChoose }: Drawn) {
  const groups = [...new Set(edges.map((edge) => edge.from))];
  const high = heightFor(groups.length, services.length);
  const left = column(groups, high);
  const right = column(services, high);
  const y = (places: readonly { name: string; y: number }[], name: string) =>
    places.find((place) => place.name === name)?.y ?? 0;
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset cannot be in a picture
    <svg class="graph" viewBox={`0 0 ${WIDE} ${high}`} role="group" aria-label="Who may talk to whom">
      {edges.map((edge) => (
        <Line
          key={edge.id}
          edge={edge}
          from={y(left, edge.from)}
          to={y(right, edge.to)}
          isChosen={edge.id === chosen}
          onChoose={() => onChoose(edge.id)}
        />
      ))}
      {left.map((place) => (
        <Box key={place.name} x={0} y={place.y} name={place.name} />
      ))}
      {right.map((place) => (
        <Box key={place.name} x={WIDE - BOX} y={place.y} name={place.name} />
      ))}
    </svg>
  );
}

interface Lined {
  readonly edge: Edge;
  readonly from: number;
  readonly to: number;
  readonly isChosen: boolean;
  readonly onChoose: () => void;
}

function Line({ edge, from, to, isChosen, onChoose }: Lined) {
  const middle = WIDE / 2;
  const path = `M ${BOX} ${from} C ${middle} ${from}, ${middle} ${to}, ${WIDE - BOX} ${to}`;
  return (
    // biome-ignore lint/a11y/useSemanticElements: a button cannot be in a picture
    <g
      role="button"
      tabindex={0}
      class={isChosen ? "edge chosen" : "edge"}
      aria-pressed={isChosen}
      aria-label={`${edge.id}: ${counted(edge)}`}
      onClick={onChoose}
      onKeyDown={(event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        onChoose();
      }}
    >
      <path class="hit" d={path} />
      <path class="line" d={path} style={{ strokeWidth: `${widthOf(edge)}px` }} />
      <text x={middle} y={(from + to) / 2 - 6} text-anchor="middle">
        {edge.grants.length}
      </text>
    </g>
  );
}

/** How many grants and devices an edge stands for, in words. */
export function counted(edge: Edge): string {
  const grants = edge.grants.length === 1 ? "1 grant" : `${edge.grants.length} grants`;
  return `${grants} of ${edge.devices === 1 ? "1 device" : `${edge.devices} devices`}`;
}

function Box({ x, y, name }: { x: number; y: number; name: string }) {
  return (
    <g class="box">
      <rect x={x + 1} y={y - HALF} width={BOX - 2} height={2 * HALF} rx="6" />
      <text x={x + BOX / 2} y={y + 5} text-anchor="middle">
        {name.length > 24 ? `${name.slice(0, 23)}…` : name}
      </text>
    </g>
  );
}
