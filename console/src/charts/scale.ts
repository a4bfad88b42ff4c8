/** Where values lie on a chart. Pure, so that it is tested without a page. */

export interface Scale {
  readonly low: number;
  readonly high: number;
  /** Where lines are drawn across, ascending. */
  readonly ticks: readonly number[];
}

const STEPS = [1, 2, 5, 10];

/** Returns a scale that holds all values between round numbers; one for nothing or for equal values is one wide. */
export function scaleOf(values: readonly number[], parts = 4): Scale {
  const finite = values.filter(Number.isFinite);
  const least = finite.length === 0 ? 0 : Math.min(...finite);
  const most = finite.length === 0 ? 1 : Math.max(...finite);
  const width = most - least || 1;
  const power = 10 ** Math.floor(Math.log10(width / parts));
  const step = (STEPS.find((one) => one * power * parts >= width) ?? 10) * power;
  const from = Math.floor(least / step);
  const to = Math.max(from + 1, Math.ceil(most / step));
  const ticks = Array.from({ length: to - from + 1 }, (_, number) => Number(((from + number) * step).toPrecision(12)));
  return { low: ticks[0] ?? 0, high: ticks.at(-1) ?? 1, ticks };
}

/** Returns the share of the way from the low end to the high end at which a value lies. */
export function placeOn(scale: Scale, value: number): number {
  return (value - scale.low) / (scale.high - scale.low);
}

/** A number as people read it: three digits that matter, and no more. */
export function shortly(value: number): string {
  if (!Number.isFinite(value)) return "none";
  if (value !== 0 && (Math.abs(value) >= 1e5 || Math.abs(value) < 1e-3)) return value.toExponential(1);
  if (Number.isInteger(value)) return String(value);
  return String(Number(value.toPrecision(3)));
}
