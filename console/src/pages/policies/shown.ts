/** Which files the tree shows: folders before what is in them, those that are closed without. */

export interface Node {
  readonly path: string;
  readonly name: string;
  /** From 1. */
  readonly level: number;
  readonly isFolder: boolean;
}

/** Returns what is in sight of the paths that hold `looked`, in order. */
export function inSight(paths: Iterable<string>, open: ReadonlySet<string> | "all", looked: string): Node[] {
  const sorted = [...paths].filter((path) => path.toLowerCase().includes(looked.toLowerCase())).sort(byPlace);
  const nodes: Node[] = [];
  const told = new Set<string>();
  for (const path of sorted) {
    const parts = path.split("/");
    const folders = parts.slice(0, -1).map((_, depth) => parts.slice(0, depth + 1).join("/"));
    const isOpen = (folder: string) => open === "all" || open.has(folder);
    for (const [depth, folder] of folders.entries()) {
      if (told.has(folder)) continue;
      if (!folders.slice(0, depth).every(isOpen)) break;
      told.add(folder);
      nodes.push({ path: folder, name: parts[depth] ?? "", level: depth + 1, isFolder: true });
    }
    if (folders.every(isOpen)) nodes.push({ path, name: parts.at(-1) ?? "", level: parts.length, isFolder: false });
  }
  return nodes;
}

/** Returns all folders that a path lies in. */
export function foldersOf(path: string): string[] {
  const parts = path.split("/").slice(0, -1);
  return parts.map((_, depth) => parts.slice(0, depth + 1).join("/"));
}

/** Folders come before files of the same folder. */
function byPlace(one: string, other: string): number {
  const [left, right] = [one.split("/"), other.split("/")];
  for (let depth = 0; ; depth += 1) {
    const [isLastLeft, isLastRight] = [depth === left.length - 1, depth === right.length - 1];
    if (isLastLeft !== isLastRight) return isLastLeft ? 1 : -1;
    const [a = "", b = ""] = [left[depth], right[depth]];
    if (a !== b) return a < b ? -1 : 1;
    if (isLastLeft) return 0;
  }
}
