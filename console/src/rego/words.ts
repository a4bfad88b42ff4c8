/** The words of Rego: what the language says itself, and the builtins that a policy here may call. */

import builtins from "./builtins.json";

export const KEYWORDS: ReadonlySet<string> = new Set([
  "as",
  "contains",
  "default",
  "else",
  "every",
  "if",
  "import",
  "in",
  "not",
  "package",
  "some",
  "with",
]);

export const ATOMS: ReadonlySet<string> = new Set(["true", "false", "null"]);

/** Where every reference begins that is not to a rule of the file. */
export const ROOTS: ReadonlySet<string> = new Set(["data", "input", "rego"]);

/** Builtins by name, each with its arguments and what it gives. Those that no policy may call are not here. */
export const BUILTINS: Readonly<Record<string, string>> = builtins;

/** Whether a name, such as `time.clock`, is a builtin's. */
export function isBuiltin(name: string): boolean {
  return Object.hasOwn(BUILTINS, name);
}
