/** The proof that a decision is on record as it is shown, verified by this browser. */

import { useState } from "preact/hooks";
import { ask, get, Refusal } from "../../api/client";
import { useLoaded } from "../../api/loading";
import { type KnownLog, recall, remember, trusting } from "../../audit/known";
import { ProofFailed } from "../../audit/merkle";
import { type LogKeys, parseKeys } from "../../audit/proof";
import { type Outcome, type Step, type Verdict, type Verified, verify } from "../../audit/verifying";
import { Commands } from "../../ui/command";
import { Badge, Moment, Part, Refused } from "../../ui/parts";
import type { DecisionRecord } from "./types";

interface Checked extends Verified {
  /** What came as proof and keys, as texts to be kept. */
  readonly proof: string;
  readonly keys: LogKeys;
}

/** Asks for the proof of a decision and verifies it against what this browser remembers. */
async function check(decision: DecisionRecord, signal: AbortSignal): Promise<Checked> {
  if (!globalThis.isSecureContext) {
    throw new Refusal(0, "This browser verifies nothing here", "It does so over https or on this machine alone.", {});
  }
  const asked = [
    ask("GET", `/v1/decisions/${decision.id}/proof`, { signal }),
    get<unknown>("/v1/log/keys", {}, signal),
  ];
  const [answer, served] = (await Promise.all(asked)) as [Response, unknown];
  const [proof, keys] = [await answer.text(), parseKeys(served)];
  const grew = (earlier: number, later: number) => growth(earlier, later, signal);
  const now = Date.now() / 1000;
  const evidence = { id: decision.id, shown: decision, keys, known: recall(localStorage), grew, now };
  const found = await verify({ ...evidence, proof: parsed(proof) });
  if (!signal.aborted) remember(localStorage, found.known);
  return { ...found, proof, keys };
}

async function growth(earlier: number, later: number, signal: AbortSignal): Promise<unknown> {
  try {
    return await get<unknown>("/v1/log/consistency", { from: earlier, to: later }, signal);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (error.status === 404) {
      throw new ProofFailed("the control plane has no head as large as one that this browser saw: entries are gone");
    }
    return undefined;
  }
}

/** Returns what a text holds as JSON; what is none is no proof, which verifying says. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

export function Proof({ decision }: { decision: DecisionRecord }) {
  const { value, refusal, isLoading, again } = useLoaded((signal) => check(decision, signal), [decision]);
  const beside = isLoading || value === undefined ? null : <Told outcome={value.outcome} />;
  return (
    <Part title="Proof that it is on record" beside={beside}>
      {isLoading ? <p role="status">Verifying …</p> : null}
      {refusal === undefined ? null : (
        <>
          <Refused refusal={refusal} />
          <button type="button" onClick={again}>
            Verify again
          </button>
        </>
      )}
      {isLoading || refusal !== undefined || value === undefined ? null : <Result checked={value} again={again} />}
    </Part>
  );
}

const WORDS: Readonly<Record<Outcome, [tone: "good" | "bad" | "warn", word: string]>> = {
  holds: ["good", "verified in this browser"],
  uncompared: ["warn", "verified, with keys nobody compared"],
  open: ["warn", "not all of it could be verified"],
  broken: ["bad", "broken"],
};

function Told({ outcome }: { outcome: Outcome }) {
  const [tone, word] = WORDS[outcome];
  return <Badge tone={tone}>{word}</Badge>;
}

function Result({ checked, again }: { checked: Checked; again: () => void }) {
  const { outcome, steps, proof, keys, known } = checked;
  return (
    <>
      {outcome === "broken" ? (
        <div class="refused" role="alert">
          <strong>The proof does not hold</strong>
          <p>
            What is shown is not what the log was signed over, or the log is not what it was. Keep the proof, and
            compare with a witness or another reader.
          </p>
        </div>
      ) : null}
      <ul class="steps" aria-label="Steps of the proof">
        {steps.map((step) => (
          <StepLine key={step.name} step={step} />
        ))}
      </ul>
      <Keys known={known} keys={keys} again={again} />
      <Meaning />
      <p class="acts">
        <button type="button" onClick={() => save("proof.json", proof)}>
          Save the proof
        </button>{" "}
        <button type="button" onClick={() => save("log-keys.json", JSON.stringify(known.keys))}>
          Save the keys
        </button>
      </p>
      <Commands lines={["ztfm audit verify proof.json --keys log-keys.json"]} />
    </>
  );
}

const MARKS: Readonly<Record<Verdict, [mark: string, word: string]>> = {
  holds: ["✓", "holds"],
  open: ["–", "open"],
  broken: ["✗", "broken"],
};

function StepLine({ step }: { step: Step }) {
  const [mark, word] = MARKS[step.verdict];
  return (
    <li class={`step ${step.verdict}`}>
      <span aria-hidden="true">{mark}</span>
      <div>
        <strong>{step.name}</strong> <span class="step-word">{word}</span>
        <p>{step.says}</p>
      </div>
    </li>
  );
}

interface KeysProps {
  readonly known: KnownLog;
  readonly keys: LogKeys;
  readonly again: () => void;
}

function Keys({ known, keys, again }: KeysProps) {
  const [isAsked, setAsked] = useState(false);
  const isOther = JSON.stringify(known.keys) !== JSON.stringify(keys);
  const trust = () => {
    remember(localStorage, trusting(recall(localStorage), keys, Date.now() / 1000));
    again();
  };
  return (
    <div class="keys">
      <h3>Keys of the log that this browser knows</h3>
      <KeyList keys={known.keys} />
      <p>
        {known.isCompared ? "Compared" : "First seen"} on <Moment seconds={known.since} />.
      </p>
      {isOther ? (
        <>
          <h3>Keys that the control plane names now</h3>
          <KeyList keys={keys} />
        </>
      ) : null}
      {isOther || !known.isCompared ? (
        <>
          <label class="check">
            <input type="checkbox" checked={isAsked} onInput={(event) => setAsked(event.currentTarget.checked)} /> I
            compared
            {isOther ? " the new keys" : " them"} with those of another source, such as the operator's own or a
            witness's
          </label>
          <button type="button" disabled={!isAsked} onClick={trust}>
            {isOther ? "Trust the new keys" : "Trust these keys"}
          </button>
        </>
      ) : null}
    </div>
  );
}

function KeyList({ keys }: { keys: LogKeys }) {
  return (
    <ul class="key-list">
      <li>
        log <code>{keys.log}</code>
      </li>
      {keys.witnesses.map((key) => (
        <li key={key}>
          witness <code>{key}</code>
        </li>
      ))}
      <li>witnesses wanted: {keys.needed}</li>
    </ul>
  );
}

function Meaning() {
  return (
    <details>
      <summary>What this shows, and what it does not</summary>
      <p>
        This browser computed every hash and checked every signature itself. It shows that the record above is an entry
        of a log whose head was signed with the key above, and, where it saw an earlier head, that nothing before it was
        changed or taken out.
      </p>
      <p>
        The keys came from the control plane that is being checked. As long as nobody compares them with another source
        they show only that it is the log of before. Without witnesses it could show you another log than others. The
        log shows what was recorded, not that the facts were so, and what was never recorded cannot be missed. This page
        itself came from the control plane too: whoever wants to rely on neither saves the proof and verifies it
        elsewhere.
      </p>
    </details>
  );
}

function save(name: string, text: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}
