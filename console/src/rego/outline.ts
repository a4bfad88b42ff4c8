/** What a file of Rego says of itself, read without a parser: a file that does not compile is read, too. */

export interface Import {
  /** Such as `data.ztfm.lib.subject` or `input`. */
  readonly path: string;
  /** The name that it has in the file. */
  readonly name: string;
}

export interface Rule {
  readonly name: string;
  /** From 1. */
  readonly line: number;
  /** What stands between the brackets of a function's head. */
  readonly arguments: string | undefined;
}

export interface Outline {
  /** Such as `ztfm.inference`; empty where the file says none. */
  readonly package: string;
  readonly imports: readonly Import[];
  readonly rules: readonly Rule[];
  /** The schema of the input that the package's METADATA names, such as `inference`. */
  readonly schema: string | undefined;
}

const HEAD = /^(?:default\s+)?([A-Za-z_]\w*)(?:\(([^)]*)\))?\s*(?:[.[]|:=|=|\bif\b|\bcontains\b|\{|$)/;
const IMPORT = /^import\s+([A-Za-z_][\w.]*)(?:\s+as\s+([A-Za-z_]\w*))?/;
const PACKAGE = /^package\s+([A-Za-z_][\w.]*(?:\["[^"]*"\])?)/;
const SCHEMA = /^#\s+- input:\s*schema\.input\.([\w-]+)/;
const NO_RULE: ReadonlySet<string> = new Set(["package", "import", "else", "some", "every", "not", "with", "default"]);

/** Reads a file. */
export function outlineOf(text: string): Outline {
  let named = "";
  let schema: string | undefined;
  const imports: Import[] = [];
  const rules = new Map<string, Rule>();
  text.split("\n").forEach((line, index) => {
    const imported = IMPORT.exec(line);
    const head = HEAD.exec(line);
    if (imported?.[1] !== undefined) {
      imports.push({ path: imported[1], name: imported[2] ?? lastOf(imported[1]) });
    } else if (head?.[1] !== undefined && !NO_RULE.has(head[1]) && !rules.has(head[1])) {
      rules.set(head[1], { name: head[1], line: index + 1, arguments: head[2] });
    } else {
      named = PACKAGE.exec(line)?.[1] ?? named;
      schema = SCHEMA.exec(line)?.[1] ?? schema;
    }
  });
  return { package: named, imports, rules: [...rules.values()], schema };
}

function lastOf(path: string): string {
  return path.slice(path.lastIndexOf(".") + 1);
}
