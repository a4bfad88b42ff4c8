/** Which layers updates changed, as a heat map: each update's, and the heaviest layers of all. */

import { useState } from "preact/hooks";
import { Heat, heaviest } from "../../charts/heat";
import { type LayerMeasure, layersOf } from "./measures";
import type { Update } from "./types";

const MOST_LAYERS = 12;

interface Layered {
  readonly updates: readonly Update[];
  readonly by: "round_id" | "subject";
  readonly label: string;
}

export function Layers({ updates, by, label }: Layered) {
  const [measure, choose] = useState<LayerMeasure>("layer_shares");
  const rows = layersOf(updates, by, measure);
  if (layersOf(updates, by, "layer_shares").length === 0) return null;
  return (
    <>
      <div class="part-head">
        <h3>{label}</h3>
        <select
          aria-label="What of each layer"
          value={measure}
          onChange={(event) => choose(event.currentTarget.value as LayerMeasure)}
        >
          <option value="layer_shares">share of the squared length</option>
          <option value="layer_cosines">cosine to the reference</option>
        </select>
      </div>
      {rows.length === 0 ? (
        <p class="empty">It was not measured.</p>
      ) : (
        <Heat
          label={label}
          corner={by === "subject" ? "device" : "round"}
          columns={heaviest(rows, MOST_LAYERS)}
          rows={rows}
        />
      )}
    </>
  );
}
