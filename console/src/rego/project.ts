/** What the files of a policy folder know together: packages and their rules, data documents, what an input may hold. */

import { type Outline, outlineOf } from "./outline";

/** One step down from where one is. */
export interface Member {
  readonly name: string;
  /** What it is, in a word or few. */
  readonly detail: string;
  readonly kind: "namespace" | "rule" | "function" | "property";
  /** What is said of it, if anything. */
  readonly info?: string;
}

interface Schema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: boolean | Schema;
  readonly anyOf?: readonly Schema[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
}

const DATA = /^data\/(.+)\/data\.json$/;
const SCHEMAS = /^schemas\/input\/([\w-]+)\.json$/;
const MAX_MEMBERS = 300;

/** The files, read when asked about, and each text once. */
export class Project {
  readonly #outlines = new Map<string, { readonly text: string; readonly outline: Outline }>();
  readonly #documents = new Map<string, { readonly text: string; readonly value: unknown }>();
  #files: ReadonlyMap<string, string> = new Map();

  /** Takes over the files as they are now. */
  update(files: ReadonlyMap<string, string>): void {
    this.#files = files;
  }

  outline(path: string): Outline {
    const text = this.#files.get(path) ?? "";
    const known = this.#outlines.get(path);
    if (known?.text === text) return known.outline;
    const outline = outlineOf(text);
    this.#outlines.set(path, { text, outline });
    return outline;
  }

  /** Returns what lies below a path such as `data.ztfm.lib`, or below a rule's document where data tells. */
  below(path: string): readonly Member[] {
    const found = new Map<string, Member>();
    for (const file of this.#files.keys()) {
      if (file.endsWith(".rego")) this.#ofPackage(file, path, found);
      const data = DATA.exec(file)?.[1];
      if (data !== undefined) this.#ofData(file, `data.data.${data.replaceAll("/", ".")}`, path, found);
    }
    return [...found.values()].slice(0, MAX_MEMBERS);
  }

  /** Returns what an input holds below a path such as `input.subject`, as a file's package says what its input is. */
  ofInput(file: string, path: string): readonly Member[] {
    const schema = this.#schemaOf(file);
    if (schema === undefined) return [];
    const reached = path
      .split(".")
      .slice(1)
      .reduce<readonly Schema[]>((from, name) => from.flatMap((one) => stepped(one, name)), [schema]);
    const found = new Map<string, Member>();
    for (const one of reached.flatMap(variants)) {
      for (const [name, property] of Object.entries(one.properties ?? {})) {
        found.set(name, { name, detail: typeOf(property), kind: "property", ...described(property) });
      }
    }
    return [...found.values()];
  }

  #ofPackage(file: string, path: string, found: Map<string, Member>): void {
    const outline = this.outline(file);
    const whole = `data.${outline.package}`;
    if (outline.package === "" || outline.package.endsWith("_test")) return;
    if (whole === path) {
      for (const rule of outline.rules) {
        const isFunction = rule.arguments !== undefined;
        const detail = isFunction ? `(${rule.arguments})` : "rule";
        found.set(rule.name, { name: rule.name, detail, kind: isFunction ? "function" : "rule" });
      }
    } else {
      addNext(whole, path, "package", found);
    }
  }

  #ofData(file: string, whole: string, path: string, found: Map<string, Member>): void {
    if (whole !== path && !path.startsWith(`${whole}.`)) {
      addNext(whole, path, "data", found);
      return;
    }
    const steps = path.slice(whole.length).split(".").slice(1);
    const value = steps.reduce<unknown>(
      (from, name) => (isObject(from) ? from[name] : undefined),
      this.#document(file),
    );
    if (!isObject(value)) return;
    for (const [name, member] of Object.entries(value).slice(0, MAX_MEMBERS)) {
      if (/^[A-Za-z_]\w*$/.test(name)) found.set(name, { name, detail: kindOf(member), kind: "property" });
    }
  }

  #schemaOf(file: string): Schema | undefined {
    const folder = file.slice(0, file.lastIndexOf("/") + 1);
    const beside = [...this.#files.keys()].filter(
      (other) => other.endsWith(".rego") && other.startsWith(folder) && !other.slice(folder.length).includes("/"),
    );
    const name = [file, ...beside].map((one) => this.outline(one).schema).find((one) => one !== undefined);
    const path = [...this.#files.keys()].find((one) => name !== undefined && SCHEMAS.exec(one)?.[1] === name);
    const schema = path === undefined ? undefined : this.#document(path);
    return isObject(schema) ? (schema as Schema) : undefined;
  }

  #document(path: string): unknown {
    const text = this.#files.get(path) ?? "";
    const known = this.#documents.get(path);
    if (known?.text === text) return known.value;
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      value = undefined;
    }
    this.#documents.set(path, { text, value });
    return value;
  }
}

function addNext(whole: string, path: string, detail: string, found: Map<string, Member>): void {
  if (!whole.startsWith(`${path}.`)) return;
  const name = whole.slice(path.length + 1).split(".")[0] ?? "";
  if (!found.has(name)) found.set(name, { name, detail, kind: "namespace" });
}

function stepped(schema: Schema, name: string): readonly Schema[] {
  return variants(schema).flatMap((one) => {
    const property = one.properties?.[name];
    return property === undefined ? [] : [property];
  });
}

function variants(schema: Schema): readonly Schema[] {
  return schema.anyOf === undefined ? [schema] : schema.anyOf.flatMap(variants);
}

function typeOf(schema: Schema): string {
  const found = variants(schema).flatMap((one) => one.type ?? (one.const === undefined ? [] : ["string"]));
  return [...new Set(found)].join(" or ") || "any";
}

function described(schema: Schema): { readonly info?: string } {
  const allowed = schema.enum?.map(String).join(", ");
  const said = [schema.description?.split("\n")[0], allowed === undefined ? undefined : `One of ${allowed}.`];
  const info = said.filter((one) => one !== undefined).join(" ");
  return info === "" ? {} : { info };
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return "array";
  return value === null ? "null" : typeof value === "object" ? "object" : JSON.stringify(value).slice(0, 40);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
