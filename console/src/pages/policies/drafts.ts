/** What was changed and is not in force: pure, by path. */

import type { Changes, Sources } from "./wire";

export type Files = ReadonlyMap<string, string>;

export function filesOf(sources: Sources): Files {
  return new Map(sources.files.flatMap(({ path, text }) => (typeof text === "string" ? [[path, text]] : [])));
}

/** Returns the files as they would be with the changes. */
export function changed(files: Files, changes: Changes): Files {
  const all = new Map(files);
  for (const [path, text] of Object.entries(changes)) {
    if (text === null) all.delete(path);
    else all.set(path, text);
  }
  return all;
}

/** Returns the changes with one more, or with one less where that leaves the file as it is in force. */
export function withChange(files: Files, changes: Changes, path: string, text: string | null): Changes {
  const { [path]: _, ...others } = changes;
  const isSame = text === null ? !files.has(path) : files.get(path) === text;
  return isSame ? others : { ...others, [path]: text };
}

/** Returns the changes that are not in force meanwhile. */
export function stillDifferent(files: Files, changes: Changes): Changes {
  return Object.entries(changes).reduce<Changes>(
    (kept, [path, text]) => withChange(files, kept, path, text),
    Object.freeze({}),
  );
}

export type Mark = "new" | "changed" | "deleted";

/** Returns what became of a file, if anything did. */
export function markOf(files: Files, changes: Changes, path: string): Mark | undefined {
  const text = changes[path];
  if (text === undefined) return undefined;
  if (text === null) return "deleted";
  return files.has(path) ? "changed" : "new";
}

const PATH = /^[A-Za-z0-9_][A-Za-z0-9_.-]*(?:\/[A-Za-z0-9_][A-Za-z0-9_.-]*)*\.(?:rego|json|yaml|yml|md)$/;

/** Whether a file is shown alone: what is hidden from a folder's listing is not edited here. */
export function isFixed(path: string): boolean {
  return path.split("/").some((step) => step.startsWith("."));
}

/** Returns why a file cannot be made under a path; empty when it can. */
export function whyNot(all: Files, path: string): string {
  if (!PATH.test(path))
    return "A path such as ztfm/extra/door/policy.rego: folders and a name that ends in .rego, .json, .yaml or .md.";
  if (all.has(path)) return "There is a file of that name.";
  return "";
}
