/** One decision: who asked for what, why it was decided so, on which facts, and that it is on record as shown. */

import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { get, Refusal } from "../../api/client";
import { type Loaded, useLoaded } from "../../api/loading";
import type { Requirement } from "../../api/requirements";
import { Commands } from "../../ui/command";
import { Code, Moment, Part, Refused, Standing } from "../../ui/parts";
import { explanationOf } from "./explaining";
import { Facts, Value } from "./facts";
import { NearestChanges } from "./nearest";
import { Proof } from "./proof";
import { Held, Missing, recordedRequirements } from "./requirements";
import { type SourceLines, useSources } from "./sources";
import type { DecisionRecord, Explanation } from "./types";

const ID = /^dec-[0-9a-f]{32}$/;

async function recordOf(id: string, signal: AbortSignal): Promise<DecisionRecord> {
  if (!ID.test(id)) throw new Refusal(0, "There is no such decision", "An id is dec- and 32 hexadecimal digits.", {});
  return get<DecisionRecord>(`/v1/decisions/${id}`, {}, signal);
}

export function Opened({ id, onClose }: { id: string; onClose: () => void }) {
  const record = useLoaded((signal) => recordOf(id, signal), [id]);
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  return (
    <article class="opened" aria-labelledby="opened-decision" aria-busy={record.isLoading}>
      <div class="opened-head">
        <h2 id="opened-decision" ref={heading} tabIndex={-1}>
          Decision <Code text={id} />
        </h2>
        <button type="button" onClick={onClose}>
          Close
        </button>
      </div>
      <Refused refusal={record.refusal} />
      {record.value === undefined ? null : <Shown decision={record.value} />}
    </article>
  );
}

function Shown({ decision }: { decision: DecisionRecord }) {
  const { id } = decision;
  const explained = useLoaded((signal) => explanationOf(id, signal), [id]);
  const lines = useSources(explained.value?.policies_revision);
  return (
    <>
      <Asked decision={decision} />
      <Why decision={decision} explained={explained} lines={lines} />
      <Part title="Facts">
        <Facts facts={decision.facts} masked={decision.masked} read={readBy(explained.value?.requirements ?? [])} />
      </Part>
      <Proof decision={decision} />
      <Part title="The same by command">
        <Commands lines={[`ztfm policy explain ${id}`, `ztfm decisions show ${id}`]} />
        <p>
          <a href={`/console/policies?decision=${id}`}>Try other policies on it, in the workbench</a>
        </p>
      </Part>
    </>
  );
}

function Asked({ decision }: { decision: DecisionRecord }) {
  const { subject, action, resource, outcome, time, seconds, ttl_seconds, policy_revision } = decision;
  return (
    <Part title="What was asked" beside={<Standing word={outcome} />}>
      <dl class="asked">
        <Row name="Who">
          <Party id={subject} />
        </Row>
        <Row name="Action">{action}</Row>
        <Row name="Resource">
          <Party id={resource} />
        </Row>
        <Row name="When">
          <Moment seconds={time} />
          {typeof seconds === "number" ? `, decided in ${(seconds * 1000).toFixed(1)} ms` : ""}
        </Row>
        {outcome === "allow" ? <Row name="Relied on for">{ttl_seconds} s</Row> : null}
        <Row name="Policy revision">
          {policy_revision === "" ? "none: policy could not be asked" : <Code text={policy_revision} />}
        </Row>
        <Row name="Obligations">
          <Obligations obligations={decision.obligations} />
        </Row>
      </dl>
    </Part>
  );
}

function Row({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}

/** Who or what it is about; a device leads to its page. */
function Party({ id }: { id: string }) {
  if (!id.startsWith("dev-")) return <>{id}</>;
  return (
    <a href={`/console/fleet/${encodeURIComponent(id)}`} title="On the page of the fleet">
      {id}
    </a>
  );
}

function Obligations({ obligations }: { obligations: Readonly<Record<string, unknown>> }) {
  const isStated = (value: unknown) =>
    value !== null && value !== false && !(Array.isArray(value) && value.length === 0);
  const stated = Object.entries(obligations).filter(([, value]) => isStated(value));
  if (stated.length === 0) return <>none</>;
  return (
    <ul class="obligations">
      {stated.map(([name, value]) => (
        <li key={name}>
          {name} <Value value={value} />
        </li>
      ))}
    </ul>
  );
}

interface WhyProps {
  readonly decision: DecisionRecord;
  readonly explained: Loaded<Explanation>;
  readonly lines: SourceLines;
}

function Why({ decision, explained, lines }: WhyProps) {
  const { value, refusal, isLoading, again } = explained;
  const requirements = value?.requirements ?? recordedRequirements(decision);
  const missing = requirements.filter((one) => !one.held);
  const held = requirements.filter((one) => one.held);
  const reasons = new Map(decision.reasons.map((reason) => [reason.code, reason]));
  return (
    <>
      <Part title={missing.length === 0 ? "Nothing was missing" : "What was missing"}>
        {isLoading ? <p role="status">Working out why …</p> : null}
        {refusal === undefined ? null : (
          <>
            <Refused refusal={refusal} />
            <button type="button" onClick={again}>
              Ask again
            </button>
          </>
        )}
        {value === undefined ? null : <Basis explanation={value} />}
        {missing.map((one) => (
          <Missing key={one.code} requirement={one} reason={reasons.get(one.code)} lines={lines} />
        ))}
      </Part>
      {value?.nearest ? (
        <Part title="The nearest change that would be allowed">
          <NearestChanges nearest={value.nearest} />
        </Part>
      ) : null}
      {held.length === 0 ? null : (
        <Part title="What held">
          <Held requirements={held} lines={lines} />
        </Part>
      )}
    </>
  );
}

/** Which policies an explanation is by, where that is not plain. */
function Basis({ explanation }: { explanation: Explanation }) {
  const { policies_revision, policies_are_those_that_decided, policies_from, masked_and_read, again } = explanation;
  const says = [];
  if (policies_from === "site") {
    says.push("A site decided it by policies of its own, which lie there with the facts.");
  } else if (!policies_are_those_that_decided) {
    const missing = again?.missing.map((code) => `, ${code} missing`).join("") ?? "";
    says.push(`The policies that decided are kept nowhere. Places are those of revision ${policies_revision}.`);
    if (again !== null) says.push(`These decide: ${again.allow ? "allow" : "deny"}${missing}.`);
  }
  if (masked_and_read.length > 0) {
    says.push(
      `They read what is kept out of the log (${masked_and_read.join(", ")}): what they decide cannot be said.`,
    );
  }
  if (explanation.layers_not_asked?.length) {
    says.push(
      `Layers decided too: ${explanation.layers_not_asked.join(", ")}. What one of them refused stays refused.`,
    );
  }
  return says.length === 0 ? null : <p class="basis">{says.join(" ")}</p>;
}

/** Returns the facts that conditions read which did not hold, by their paths. */
function readBy(requirements: readonly Requirement[]): ReadonlySet<string> {
  const names = requirements.flatMap((one) => one.conditions.flatMap((condition) => Object.keys(condition.values)));
  return new Set(names.filter((name) => name.startsWith("input.")).map((name) => name.slice("input.".length)));
}
