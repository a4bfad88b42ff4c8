/** Whether a decision is in the log as it is shown: each step of the proof, checked here and nowhere else. */

import { fromBase64, fromHex } from "./bytes";
import { saysTheSame } from "./canonical";
import type { KnownHead, KnownLog } from "./known";
import { ProofFailed, verifyConsistency, verifyInclusion } from "./merkle";
import {
  type Checkpoint,
  type Note,
  NoteInvalid,
  NotSupported,
  parseCheckpoint,
  parseNote,
  parseVerifier,
  rootText,
  signedBy,
} from "./notes";
import { areSameKeys, hashOf, isCommitted, type LogKeys, parseGrowth, parseProof, type RecordProof } from "./proof";

/** `open` is neither shown nor refuted: there is nothing yet to check against, or nobody who could say. */
export type Verdict = "holds" | "broken" | "open";

/** `uncompared`: all of it holds, with keys that nobody has compared with another source. */
export type Outcome = Verdict | "uncompared";

export interface Step {
  readonly name: string;
  readonly verdict: Verdict;
  readonly says: string;
}

export interface Evidence {
  /** The decision that is looked at. */
  readonly id: string;
  /** The decision as the page shows it. */
  readonly shown: unknown;
  /** What came as its proof. */
  readonly proof: unknown;
  /** The keys that the control plane names now. */
  readonly keys: LogKeys;
  /** What this browser remembers of the log. */
  readonly known: KnownLog | undefined;
  /** Asks for the proof that the log only grew from one size to another; nothing where it cannot be asked. */
  readonly grew: (earlier: number, later: number) => Promise<unknown>;
  /** Unix seconds. */
  readonly now: number;
}

export interface Verified {
  readonly outcome: Outcome;
  readonly steps: readonly Step[];
  /** What to remember from now on. */
  readonly known: KnownLog;
  readonly head: Checkpoint | undefined;
}

const SIGNED = "The head is signed by the log";
const WITNESSED = "Witnesses signed the head too";
const KNOWN = "The keys are those that this browser knows";
const GREW = "The log only grew since this browser last looked";

const NO_GROWTH = Symbol("the head is the one that was seen last");

interface Signed {
  readonly note: Note;
  readonly head: Checkpoint;
}

/** Checks all of it; what fails is told as a step that is broken, and nothing of the log is remembered then. */
export async function verify(evidence: Evidence): Promise<Verified> {
  const known = evidence.known ?? { keys: evidence.keys, since: evidence.now, isCompared: false, head: null };
  let proof: RecordProof;
  try {
    proof = parseProof(evidence.proof);
  } catch (error) {
    return concluded([broken("The proof can be read", error)], known, undefined);
  }
  const steps: Step[] = [await committed(proof), shownAs(proof, evidence)];
  let signed: Signed | undefined;
  try {
    const note = parseNote(proof.checkpoint);
    signed = { note, head: parseCheckpoint(note.text) };
    steps.push(await included(proof, signed.head), await signedByLog(signed, known.keys));
    steps.push(await witnessed(signed.note, known.keys));
  } catch (error) {
    steps.push(broken("The head of the log can be read", error));
  }
  steps.push(knownKeys(evidence));
  if (signed !== undefined) steps.push(await grown(signed.head, known.head, evidence.grew));
  return concluded(steps, known, signed, proof.checkpoint);
}

function concluded(steps: readonly Step[], known: KnownLog, signed: Signed | undefined, note = ""): Verified {
  const isBroken = steps.some((step) => step.verdict === "broken");
  // Without witnesses, and where this is the first head, there is nothing to check against.
  const mayBeOpen = known.head === null ? [WITNESSED, GREW] : [WITNESSED];
  const open = steps.filter((step) => step.verdict === "open" && !mayBeOpen.includes(step.name));
  const isSigned = steps.some((step) => step.name === SIGNED && step.verdict === "holds");
  const head = signed?.head;
  const isNewer = head !== undefined && head.size > (known.head?.size ?? -1);
  const hasGrown = known.head === null || steps.some((step) => step.name === GREW && step.verdict === "holds");
  const isKept = isSigned && !isBroken && isNewer && hasGrown;
  const kept = isKept ? { size: head.size, root: rootText(head), note } : known.head;
  const found = open.length === 0 ? "holds" : open.every((step) => step.name === KNOWN) ? "uncompared" : "open";
  const outcome = isBroken ? "broken" : found;
  return { outcome, steps, known: { ...known, head: kept }, head };
}

async function committed(proof: RecordProof): Promise<Step> {
  const name = "The record is the one that was logged";
  if (await isCommitted(proof)) return holds(name, "SHA-256 of the salt and the record is what the entry commits to.");
  return broken(name, "The record is not what the entry commits to: one of them was changed.");
}

function shownAs(proof: RecordProof, { id, shown }: Evidence): Step {
  const name = "This page shows that record";
  const { entry } = proof;
  if (entry.kind !== "decision" || entry.id !== id) {
    return broken(name, `The proof is about the ${entry.kind} ${entry.id}, not about this decision.`);
  }
  let recorded: unknown;
  try {
    recorded = JSON.parse(proof.record);
  } catch {
    return broken(name, "The record is no JSON.");
  }
  if (!saysTheSame(recorded, shown)) return broken(name, "What is shown here is not what was recorded.");
  const time = (shown as { time?: unknown }).time;
  if (typeof time !== "number" || Math.trunc(time * 1000) !== entry.time_ms) {
    return broken(name, "The entry names another time than the record.");
  }
  return holds(
    name,
    "Outcome, reasons and facts above are those of the record, and its id and time those of the entry.",
  );
}

async function included(proof: RecordProof, head: Checkpoint): Promise<Step> {
  const name = "The entry is in the log";
  try {
    await verifyInclusion(await hashOf(proof.entry), proof.place, head.size, proof.hashes.map(fromHex), head.root);
  } catch (error) {
    return broken(name, error);
  }
  const count = proof.hashes.length;
  return holds(
    name,
    `Entry ${proof.place} of ${head.size}: ${count} ${count === 1 ? "hash leads" : "hashes lead"} to the root.`,
  );
}

async function signedByLog({ note, head }: Signed, keys: LogKeys): Promise<Step> {
  try {
    const verifier = await parseVerifier(keys.log);
    if (head.origin !== verifier.name) return broken(SIGNED, `The head is of ${head.origin}, not of ${verifier.name}.`);
    if ((await signedBy(note, verifier)) !== undefined) {
      return holds(SIGNED, `The Ed25519 signature of ${verifier.name} over size and root verifies.`);
    }
    return broken(SIGNED, `The head is not signed by ${verifier.name} with the key that this browser knows.`);
  } catch (error) {
    return error instanceof NotSupported ? open(SIGNED, `${error.message}.`) : broken(SIGNED, error);
  }
}

async function witnessed(note: Note, keys: LogKeys): Promise<Step> {
  if (keys.witnesses.length === 0) {
    return open(WITNESSED, "Nobody else watches this log. Its keeper could show you another history than others.");
  }
  const seen = new Set<string>();
  try {
    for (const text of new Set(keys.witnesses)) {
      const verifier = await parseVerifier(text);
      if ((await signedBy(note, verifier)) !== undefined) seen.add(verifier.name);
    }
  } catch (error) {
    return error instanceof NotSupported ? open(WITNESSED, `${error.message}.`) : broken(WITNESSED, error);
  }
  const says = `${seen.size} of ${keys.witnesses.length} signed, ${keys.needed} wanted${seen.size ? `: ${[...seen].join(", ")}` : ""}.`;
  if (seen.size < keys.needed) return broken(WITNESSED, says);
  return seen.size > 0 ? holds(WITNESSED, says) : open(WITNESSED, says);
}

function knownKeys({ keys, known }: Evidence): Step {
  if (known === undefined) {
    return open(KNOWN, "They are seen for the first time, and kept. Compare them with those of another source.");
  }
  if (!areSameKeys(known.keys, keys)) {
    return broken(
      KNOWN,
      "The control plane names other keys than before. The head was checked with those from before.",
    );
  }
  if (!known.isCompared)
    return open(KNOWN, "They have not changed since; nobody has compared them with another source.");
  return holds(KNOWN, "They are those that you compared.");
}

async function grown(head: Checkpoint, last: KnownHead | null, grew: Evidence["grew"]): Promise<Step> {
  if (last === null)
    return open(GREW, `It is the first head that this browser sees, of ${head.size} entries, and kept.`);
  const before = { size: last.size, root: fromBase64(last.root) };
  const [earlier, later] = head.size < before.size ? [head, before] : [before, head];
  try {
    const answered = earlier.size === later.size ? NO_GROWTH : await grew(earlier.size, later.size);
    if (answered === undefined) return open(GREW, "The control plane could not be asked for the proof of that.");
    const proof = answered === NO_GROWTH ? [] : parseGrowth(answered, earlier.size, later.size);
    await verifyConsistency(earlier.size, later.size, proof, earlier.root, later.root);
  } catch (error) {
    return broken(GREW, error);
  }
  return holds(GREW, `The head of ${later.size} entries begins with the one of ${earlier.size}.`);
}

function holds(name: string, says: string): Step {
  return { name, verdict: "holds", says };
}

function open(name: string, says: string): Step {
  return { name, verdict: "open", says };
}

/** What failed; an error that is none of the checks' own is told too, for nothing that fails may pass. */
function broken(name: string, why: unknown): Step {
  if (typeof why === "string") return { name, verdict: "broken", says: why };
  const isOurs = why instanceof ProofFailed || why instanceof NoteInvalid;
  const message = why instanceof Error ? why.message : String(why);
  return { name, verdict: "broken", says: isOurs ? `${message[0]?.toUpperCase()}${message.slice(1)}.` : message };
}
