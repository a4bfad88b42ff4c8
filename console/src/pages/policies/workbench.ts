/** What is on the bench: the files in force, what was changed of them, and what was found out about that. */

import { batch, computed, effect, signal } from "@preact/signals";
import { Refusal } from "../../api/client";
import { Project } from "../../rego/project";
import { changed, type Files, filesOf, stillDifferent, withChange } from "./drafts";
import { keysOf, read, remove, write } from "./keeping";
import * as wire from "./wire";

const CHECK_AFTER_MILLISECONDS = 500;
const NONE: wire.Changes = Object.freeze({});

/** An answer, and the changes that it is about. */
export interface About<T> {
  readonly changes: wire.Changes;
  readonly answer: T;
}

/** Changes over an earlier revision that this browser still keeps. */
export interface Earlier {
  readonly revision: string;
  readonly changes: wire.Changes;
}

export interface Place {
  readonly path: string;
  readonly line: number;
  readonly column: number;
}

export class Workbench {
  readonly revision = signal<string>("");
  readonly origin = signal<wire.Sources["origin"]>("release");
  readonly files = signal<Files>(new Map());
  readonly changes = signal<wire.Changes>(NONE);
  readonly earlier = signal<readonly Earlier[]>([]);
  readonly path = signal<string | undefined>(undefined);
  /** Where the editor is to go; a new object each time. */
  readonly goingTo = signal<Place | undefined>(undefined);

  readonly checked = signal<About<wire.Checked> | undefined>(undefined);
  /** What the compiler said of the changes as they are, until all checks are done. */
  readonly compiled = signal<readonly wire.Finding[] | undefined>(undefined);
  readonly checkRefusal = signal<Refusal | undefined>(undefined);
  readonly isChecking = signal(false);
  readonly tested = signal<About<wire.TestRun> | undefined>(undefined);
  readonly replayed = signal<About<wire.Replayed> | undefined>(undefined);
  readonly showsCoverage = signal(true);

  readonly all = computed(() => changed(this.files.value, this.changes.value));
  readonly findings = computed(() => this.compiled.value ?? this.checked.value?.answer.findings ?? []);
  readonly project = new Project();

  readonly #subject: string;
  readonly #stop: () => void;
  #checking: AbortController | undefined;
  #checkTimer: ReturnType<typeof setTimeout> | undefined;
  /** Ends when all changes so far are kept. */
  #kept: Promise<void> = Promise.resolve();

  constructor(subject: string) {
    this.#subject = subject;
    this.#stop = effect(() => this.project.update(this.all.value));
  }

  /** Reads the files in force, and what was kept of changes to them. */
  async load(signalled?: AbortSignal): Promise<wire.Sources> {
    const sources = await wire.readSources(signalled);
    await this.#kept;
    const files = filesOf(sources);
    const kept = (await read<wire.Changes>("drafts", this.#key(sources.revision))) ?? NONE;
    const own = sources.revision === this.revision.value ? this.changes.value : kept;
    const earlier = await this.#keptEarlier(sources.revision, files);
    batch(() => {
      this.files.value = files;
      this.revision.value = sources.revision;
      this.origin.value = sources.origin;
      this.changes.value = stillDifferent(files, own);
      this.earlier.value = earlier;
    });
    this.#checkSoon(0);
    return sources;
  }

  edit(path: string, text: string | null): void {
    const changes = withChange(this.files.value, this.changes.value, path, text);
    this.#take(changes);
  }

  /** Undoes the changes of one file, or of all. */
  discard(path?: string): void {
    if (path === undefined) this.#take(NONE);
    else {
      const { [path]: _, ...others } = this.changes.value;
      this.#take(others);
    }
  }

  /** Goes on with changes over an earlier revision; what was changed since stays. */
  async carryOver(one: Earlier): Promise<void> {
    this.#take(stillDifferent(this.files.value, { ...one.changes, ...this.changes.value }));
    await this.forget(one);
  }

  async forget(one: Earlier): Promise<void> {
    await remove("drafts", this.#key(one.revision));
    this.earlier.value = this.earlier.value.filter((other) => other.revision !== one.revision);
  }

  open(path: string, line = 0, column = 1): void {
    batch(() => {
      this.path.value = path;
      if (line > 0) this.goingTo.value = { path, line, column };
    });
  }

  get hasChanges(): boolean {
    return Object.keys(this.changes.value).length > 0;
  }

  /** Whether an answer is about the changes as they are now. */
  isCurrent(answer: About<unknown> | undefined): boolean {
    return answer !== undefined && answer.changes === this.changes.value;
  }

  /** Whether checks found nothing that stands in the way. */
  get passesChecks(): boolean {
    return this.isCurrent(this.checked.value) && this.findings.value.every((found) => found.severity === "warning");
  }

  get passesTests(): boolean {
    const run = this.tested.value;
    return this.isCurrent(run) && run?.answer.failed === 0 && run.answer.findings.length === 0 && run.answer.passed > 0;
  }

  async test(): Promise<void> {
    this.tested.value = await this.ask((draft) => wire.test(draft));
  }

  async replay(seconds: number, limit: number): Promise<void> {
    this.replayed.value = await this.ask((draft) => wire.replay(draft, seconds, limit));
  }

  /** Asks about the changes as they are; what is checked meanwhile by itself gives way. */
  async ask<T>(question: (draft: wire.Draft) => Promise<T>): Promise<About<T>> {
    const changes = this.changes.value;
    this.#checking?.abort();
    try {
      return { changes, answer: await question({ files: changes, revision: this.revision.value }) };
    } finally {
      this.#checkSoon(0);
    }
  }

  /** Checks what is on the bench: first whether it compiles, then all. */
  async check(): Promise<void> {
    this.#checking?.abort();
    if (!this.hasChanges) {
      // What is in force was checked when it was published.
      this.checked.value = undefined;
      this.compiled.value = undefined;
      return;
    }
    if (this.isCurrent(this.checked.value)) return;
    const controller = new AbortController();
    this.#checking = controller;
    this.isChecking.value = true;
    const changes = this.changes.value;
    const draft = { files: changes, revision: this.revision.value };
    try {
      this.compiled.value = (await wire.check(draft, ["compile"], controller.signal)).findings;
      const answer = await wire.check(draft, [], controller.signal);
      batch(() => {
        this.checked.value = { changes, answer };
        this.compiled.value = undefined;
        this.checkRefusal.value = undefined;
      });
    } catch (error) {
      if (!controller.signal.aborted) this.checkRefusal.value = refusalOf(error);
    } finally {
      if (this.#checking === controller) this.isChecking.value = false;
    }
  }

  close(): void {
    clearTimeout(this.#checkTimer);
    this.#checking?.abort();
    this.#stop();
  }

  #take(changes: wire.Changes): void {
    this.changes.value = changes;
    this.#checking?.abort();
    this.#kept = this.#kept.then(() => this.#keep(changes));
    this.#checkSoon(CHECK_AFTER_MILLISECONDS);
  }

  #checkSoon(milliseconds: number): void {
    clearTimeout(this.#checkTimer);
    this.#checkTimer = setTimeout(() => void this.check(), milliseconds);
  }

  /** Keeps changes, unless there are others by now, which are kept next. */
  async #keep(changes: wire.Changes): Promise<void> {
    if (changes !== this.changes.value) return;
    const key = this.#key(this.revision.value);
    try {
      await (Object.keys(changes).length === 0 ? remove("drafts", key) : write("drafts", key, changes));
    } catch (error) {
      const words = "They are lost when this page is left. Download the bundle, or publish, before you go.";
      this.checkRefusal.value = new Refusal(0, "This browser does not keep your changes", `${words} (${error})`, {});
    }
  }

  async #keptEarlier(revision: string, files: Files): Promise<readonly Earlier[]> {
    const found: Earlier[] = [];
    for (const key of await keysOf("drafts")) {
      const [subject, other] = Array.isArray(key) ? key : [];
      if (subject !== this.#subject || typeof other !== "string" || other === revision) continue;
      const changes = stillDifferent(files, (await read<wire.Changes>("drafts", key)) ?? NONE);
      if (Object.keys(changes).length > 0) found.push({ revision: other, changes });
      else await remove("drafts", key);
    }
    return found;
  }

  #key(revision: string): string[] {
    return [this.#subject, revision];
  }
}

function refusalOf(error: unknown): Refusal {
  return error instanceof Refusal ? error : new Refusal(0, "The check failed", String(error), {});
}
