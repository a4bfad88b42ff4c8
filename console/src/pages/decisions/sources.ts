/** The lines that rules stand on, where the reader may read the policies and they are those that decided. */

import { useEffect, useState } from "preact/hooks";
import { get } from "../../api/client";

interface Sources {
  readonly revision: string;
  /** Text is absent of a file that is none. */
  readonly files: readonly { readonly path: string; readonly text?: string | null }[];
}

/** Returns a line of a file, or nothing where it is not known. */
export type SourceLines = (file: string, line: number) => string | undefined;

const unknown: SourceLines = () => undefined;

// One look is for all decisions: the policies are large, and change seldom.
const kept = new Map<string, Promise<SourceLines>>();

async function linesOf(revision: string): Promise<SourceLines> {
  // Whoever may not read the policies is told so once, by the page of policies.
  const sources = await get<Sources>("/v1/workbench/sources").catch(() => undefined);
  if (sources?.revision !== revision) return unknown;
  const files = new Map(sources.files.map((file) => [file.path, (file.text ?? "").split("\n")]));
  return (file, line) => files.get(file)?.[line - 1]?.trim();
}

/** Reads the policies of a revision, once it is known. */
export function useSources(revision: string | undefined): SourceLines {
  const [lines, setLines] = useState<SourceLines>(() => unknown);
  useEffect(() => {
    if (revision === undefined) return;
    let isShown = true;
    const found = kept.get(revision) ?? linesOf(revision);
    kept.set(revision, found);
    found.then((read) => isShown && setLines(() => read));
    return () => {
      isShown = false;
    };
  }, [revision]);
  return lines;
}
