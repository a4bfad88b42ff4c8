/** What may stand at a place in a file of Rego. */

import type { Completion, CompletionContext, CompletionResult } from "@codemirror/autocomplete";
import type { Member, Project } from "./project";
import { ATOMS, BUILTINS, KEYWORDS } from "./words";

const PATH = /[A-Za-z_]\w*(?:\.\w*)*$/;
const VALID = /^\w*$/;
const KINDS = { namespace: "namespace", rule: "variable", function: "function", property: "property" } as const;

export interface Offered {
  /** How many characters before the cursor are replaced. */
  readonly length: number;
  readonly options: readonly Completion[];
}

/** Returns what may follow on `line`, which is a line of `file` up to the cursor; nothing in comments and strings. */
export function offered(project: Project, file: string, line: string): Offered | undefined {
  if (isAside(line)) return undefined;
  const path = PATH.exec(line)?.[0] ?? "";
  const dot = path.lastIndexOf(".");
  if (dot === -1) return { length: path.length, options: words(project, file, line) };
  const options = membersOf(project, file, path.slice(0, dot)).map(optionOf);
  const more = builtinsBelow(path.slice(0, dot + 1));
  return { length: path.length - dot - 1, options: [...options, ...more] };
}

/** Offers completions of one file to the editor. */
export function completing(project: Project, file: () => string) {
  return (context: CompletionContext): CompletionResult | null => {
    const line = context.state.doc.lineAt(context.pos);
    const found = offered(project, file(), line.text.slice(0, context.pos - line.from));
    if (found === undefined || found.options.length === 0) return null;
    const isAsked = context.explicit || found.length > 0 || line.text[context.pos - line.from - 1] === ".";
    if (!isAsked) return null;
    return { from: context.pos - found.length, options: found.options, validFor: VALID };
  };
}

function isAside(line: string): boolean {
  const rest = line.replace(/"(?:[^"\\]|\\.)*"/g, '""');
  return rest.includes("#") || (rest.match(/"/g)?.length ?? 0) % 2 === 1;
}

function membersOf(project: Project, file: string, path: string): readonly Member[] {
  const [first = "", ...rest] = path.split(".");
  if (first === "input") return project.ofInput(file, path);
  if (first === "data") return project.below(path);
  const imported = project.outline(file).imports.find((one) => one.name === first);
  if (imported === undefined) return [];
  const whole = [imported.path, ...rest].join(".");
  return whole.startsWith("input") ? project.ofInput(file, whole) : project.below(whole);
}

function words(project: Project, file: string, line: string): readonly Completion[] {
  const outline = project.outline(file);
  if (/^\s*(?:package|import)\s+\S*$/.test(line))
    return ["data", "input"].map((label) => ({ label, type: "namespace" }));
  const own = project.below(`data.${outline.package}`);
  const siblings = own.length === 0 ? outline.rules.map((rule) => ({ label: rule.name, type: "variable" })) : [];
  return [
    ...[...KEYWORDS].map((label) => ({ label, type: "keyword" })),
    ...[...ATOMS].map((label) => ({ label, type: "constant" })),
    ...["data", "input"].map((label) => ({ label, type: "namespace" })),
    ...outline.imports.map((one) => ({ label: one.name, type: "namespace", detail: one.path, boost: 2 })),
    ...own.map((one) => ({ ...optionOf(one), boost: 3 })),
    ...siblings,
    ...builtinsBelow(""),
  ];
}

function builtinsBelow(prefix: string): readonly Completion[] {
  return Object.entries(BUILTINS)
    .filter(([name]) => name.startsWith(prefix))
    .map(([name, detail]) => ({ label: name.slice(prefix.length), type: "function", detail }));
}

function optionOf(member: Member): Completion {
  const { name, detail, kind, info } = member;
  return { label: name, detail, type: KINDS[kind], ...(info === undefined ? {} : { info }) };
}
