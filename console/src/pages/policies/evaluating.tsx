/** A recorded request, decided again by the policies on the bench: what was required, and whether it held. */

import { useState } from "preact/hooks";
import { get } from "../../api/client";
import { useLoaded } from "../../api/loading";
import type { Requirement } from "../../api/requirements";
import { Badge, Moment, Refused, Standing } from "../../ui/parts";
import { Shell } from "./shell";
import * as wire from "./wire";
import { useWork } from "./work";
import type { About, Workbench } from "./workbench";

const ID = /^dec-[0-9a-f]{32}$/;
const RECENT = 30;
/** Of whose decisions there are lists; `admin` is everything that is asked of the control plane itself. */
const ACTIONS = ["inference", "model_access", "gradient_submission", "admin", "other", ""] as const;

export function Evaluating({ bench, first }: { bench: Workbench; first: string }) {
  const [id, setId] = useState(first);
  const [found, setFound] = useState<About<wire.Evaluated>>();
  const [action, setAction] = useState("inference");
  const recent = useLoaded(
    (signal) => get<{ decisions: readonly wire.Decision[] }>("/v1/decisions", { action, limit: RECENT }, signal),
    [action],
  );
  const work = useWork(async () => {
    setFound(await bench.ask((draft) => wire.evaluate(draft, id)));
  });
  const isId = ID.test(id);
  return (
    <>
      <form
        class="line"
        onSubmit={(event) => {
          event.preventDefault();
          if (isId && !work.isRunning) work.begin();
        }}
      >
        <label>
          Decision{" "}
          <input
            class="mono wide"
            placeholder="dec-…"
            value={id}
            spellcheck={false}
            onInput={(event) => setId(event.currentTarget.value.trim())}
          />
        </label>
        <label>
          or of{" "}
          <select value={action} onChange={(event) => setAction(event.currentTarget.value)}>
            {ACTIONS.map((name) => (
              <option key={name} value={name}>
                {name === "" ? "any action" : name}
              </option>
            ))}
          </select>
        </label>
        <label>
          a recent one{" "}
          <select value={id} onChange={(event) => setId(event.currentTarget.value)}>
            <option value="">choose …</option>
            {recent.value?.decisions.map((one) => (
              <option key={one.id} value={one.id}>
                {new Date(one.time * 1000).toLocaleTimeString()} {one.action} {one.outcome} {one.subject.slice(0, 16)}
              </option>
            ))}
          </select>
        </label>
        <button type="submit" class="main" disabled={!isId || work.isRunning}>
          {work.isRunning ? "Deciding …" : "Decide it again"}
        </button>
      </form>
      <Refused refusal={work.refusal} />
      <Refused refusal={recent.refusal} />
      {found === undefined ? null : <Answer bench={bench} found={found} />}
      <Shell commands={[`ztfm policy explain ${isId ? id : "ID"} --policies my-policies`]} />
    </>
  );
}

function Answer({ bench, found }: { bench: Workbench; found: About<wire.Evaluated> }) {
  const { recorded, now } = found.answer;
  const requirements = found.answer.requirements.toSorted((one, other) => Number(one.held) - Number(other.held));
  return (
    <section aria-label="What was decided">
      <p role="status">
        {recorded.action} by <code>{recorded.subject}</code>, <Moment seconds={recorded.time} />: it was{" "}
        <Standing word={recorded.outcome} />
        <Now now={now} masked={found.answer.masked_and_read} />
        {bench.isCurrent(found) ? "" : " The policies were changed since: decide it again."}
      </p>
      <table class="requirements">
        <caption class="unseen">Requirements</caption>
        <thead>
          <tr>
            <th scope="col">Requirement</th>
            <th scope="col">Held</th>
            <th scope="col">Rule</th>
            <th scope="col">Why not</th>
          </tr>
        </thead>
        <tbody>
          {requirements.map((one) => (
            <tr key={one.code}>
              <th scope="row">
                <code>{one.code}</code>
              </th>
              <td>
                <Badge tone={one.held ? "good" : one.waived ? "warn" : "bad"}>
                  {one.held ? "held" : one.waived ? "waived" : "missing"}
                </Badge>
              </td>
              <td>
                {one.file === "" ? (
                  ""
                ) : (
                  <button type="button" class="quiet mono rule" onClick={() => bench.open(one.file, one.line)}>
                    {one.file}:{one.line}
                  </button>
                )}
              </td>
              <td>
                <Why requirement={one} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Now({ now, masked }: { now: wire.Evaluated["now"]; masked: readonly string[] }) {
  if (now === null) return <>. What it would be cannot be said: {masked.join(", ")} was kept out of the log.</>;
  return (
    <>
      , and on the bench it is <Standing word={now.allow ? "allow" : "deny"} />
      {now.missing.length === 0 ? "." : ` for ${now.missing.join(", ")}.`}
    </>
  );
}

function Why({ requirement }: { requirement: Requirement }) {
  if (requirement.held) return null;
  return (
    <>
      {requirement.message} {requirement.remedy}
      {requirement.differences.map((sentence) => (
        <div key={sentence}>{sentence}</div>
      ))}
      {requirement.conditions.map((one) => (
        <div key={`${one.file}:${one.line}`} class="condition">
          <code>{one.text}</code>
          {Object.entries(one.values).map(([name, value]) => (
            <div key={name} class="faint mono">
              {name} = {JSON.stringify(value)}
            </div>
          ))}
        </div>
      ))}
    </>
  );
}
