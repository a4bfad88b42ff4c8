/** What is different between two texts, line by line (Myers, "An O(ND) Difference Algorithm", 1986). */

export interface DiffLine {
  readonly kind: "same" | "added" | "removed";
  readonly text: string;
  /** Numbers from 1 in the old and the new text; 0 where the line is not there. */
  readonly old: number;
  readonly new: number;
}

const MAX_EDITS = 800;

/** Returns all lines of both texts in order. Texts that differ in more than 800 lines are told as wholly replaced. */
export function diff(before: string, after: string): DiffLine[] {
  const old = linesOf(before);
  const young = linesOf(after);
  const lines: DiffLine[] = [];
  let [x, y] = [0, 0];
  const keep = () => lines.push({ kind: "same", text: old[x] ?? "", old: ++x, new: ++y });
  for (const [isAdded, untilX, untilY] of edits(old, young)) {
    while (x < untilX && y < untilY) keep();
    if (isAdded) lines.push({ kind: "added", text: young[y] ?? "", old: 0, new: ++y });
    else lines.push({ kind: "removed", text: old[x] ?? "", old: ++x, new: 0 });
  }
  while (x < old.length && y < young.length) keep();
  return lines;
}

/** Returns only what changed, with so many lines around it; `undefined` stands for lines that are left out. */
export function hunks(lines: readonly DiffLine[], around = 3): (DiffLine | undefined)[] {
  const shown = new Set<number>();
  lines.forEach((line, index) => {
    if (line.kind === "same") return;
    for (let near = index - around; near <= index + around; near += 1) shown.add(near);
  });
  return lines.flatMap((line, index) => {
    if (!shown.has(index)) return [];
    return index > 0 && !shown.has(index - 1) ? [undefined, line] : [line];
  });
}

type Edit = readonly [isAdded: boolean, x: number, y: number];

function linesOf(text: string): string[] {
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

/** Returns the edits in order, each with where it is done in the old and the new text. */
function edits(old: readonly string[], young: readonly string[]): Edit[] {
  const most = Math.min(old.length + young.length, MAX_EDITS);
  const reach = new Map<number, number>([[1, 0]]);
  const trace: Map<number, number>[] = [];
  for (let count = 0; count <= most; count += 1) {
    trace.push(new Map(reach));
    for (let diagonal = -count; diagonal <= count; diagonal += 2) {
      let x = isDown(reach, diagonal, count) ? (reach.get(diagonal + 1) ?? 0) : (reach.get(diagonal - 1) ?? 0) + 1;
      while (x < old.length && x - diagonal < young.length && old[x] === young[x - diagonal]) x += 1;
      reach.set(diagonal, x);
      if (x >= old.length && x - diagonal >= young.length) return walkedBack(trace, old.length, young.length);
    }
  }
  return [...old.map((_, x): Edit => [false, x, 0]), ...young.map((_, y): Edit => [true, old.length, y])];
}

function walkedBack(trace: readonly Map<number, number>[], oldLength: number, newLength: number): Edit[] {
  const found: Edit[] = [];
  let [x, y] = [oldLength, newLength];
  for (let count = trace.length - 1; count > 0; count -= 1) {
    const reach = trace[count] ?? new Map();
    const isAdded = isDown(reach, x - y, count);
    const from = isAdded ? x - y + 1 : x - y - 1;
    const before = reach.get(from) ?? 0;
    [x, y] = [before, before - from];
    found.push([isAdded, x, y]);
  }
  return found.reverse();
}

function isDown(reach: ReadonlyMap<number, number>, diagonal: number, count: number): boolean {
  if (diagonal === -count) return true;
  return diagonal !== count && (reach.get(diagonal - 1) ?? -1) < (reach.get(diagonal + 1) ?? -1);
}
