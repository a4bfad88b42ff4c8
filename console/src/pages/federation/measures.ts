/** What is measured on an update, in words, and one device's measures over its rounds. Pure. */

import type { Dot } from "../../charts/dots";
import type { HeatRow } from "../../charts/heat";
import type { Update } from "./types";

export const MEASURES: Readonly<Record<string, string>> = {
  norm_ratio: "Norm, over the cohort's median",
  cosine: "Cosine to the reference",
  sign_agreement: "Signs that agree with the reference",
  sign_balance: "Share of positive values",
  twin_cosine: "Highest cosine to another update",
  centrality: "Mean cosine to the other updates",
  innovation: "What its own earlier updates do not explain",
  replay_cosine: "Highest cosine to an earlier round",
  spectral_residual: "Outside the cohort's leading directions",
  low_frequency: "Length in the lowest frequencies",
  subspace_overlap: "Overlap with the reference's subspace",
  concentration: "How few rows hold the update",
  duplicates: "Near-identical updates",
  nonfinite: "Values that are not finite",
  p_value: "p-value against comparable peers",
  e_value: "Evidence against the device",
  trust: "Trust",
};

const OF_BEHAVIOUR = ["p_value", "e_value", "trust"] as const;

/** Returns one measure of an update; undefined where it was not measured. */
export function measured(update: Update, measure: string): number | undefined {
  const behaved = OF_BEHAVIOUR.find((name) => name === measure);
  const found = behaved === undefined ? update.evidence?.[measure] : update[behaved];
  return typeof found === "number" && Number.isFinite(found) ? found : undefined;
}

/** Returns the measures that any of the updates has. */
export function measuresOf(updates: readonly Update[]): string[] {
  return Object.keys(MEASURES).filter((name) => updates.some((update) => measured(update, name) !== undefined));
}

export function worded(update: Update): string {
  if (update.outcome == null) return "not on record";
  return update.outcome === "allow" ? "accepted" : "refused";
}

/** Returns a dot for each update that has the measure, the other way round, with what its peers had where known. */
export function dotsOf(updates: readonly Update[], measure: string): Dot[] {
  return [...updates].reverse().flatMap((update) => {
    const value = measured(update, measure);
    if (value === undefined) return [];
    const expected = update.attribution?.features.find((one) => one.name === measure)?.expected;
    return [{ name: update.round_id, value, expected, isBad: update.outcome !== "allow", word: worded(update) }];
  });
}

export type LayerMeasure = "layer_shares" | "layer_cosines";

/** Returns a row of layers for each update that has them, named by round or by subject. */
export function layersOf(updates: readonly Update[], by: "round_id" | "subject", measure: LayerMeasure): HeatRow[] {
  return updates.flatMap((update) => {
    const values = update.evidence?.[measure];
    if (values == null) return [];
    return [{ name: update[by], values, isBad: update.outcome !== "allow" }];
  });
}
