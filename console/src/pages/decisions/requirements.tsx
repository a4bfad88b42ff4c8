/** What a decision required: what was missing, with what was seen and what would have done, and what held. */

import { addressed } from "../../api/client";
import type { Condition, Requirement } from "../../api/requirements";
import { Badge, Moment } from "../../ui/parts";
import { Value } from "./facts";
import type { SourceLines } from "./sources";
import type { Decision, Difference, Reason } from "./types";

/** Returns what a decision required as its record says, before it is known where the rules are. */
export function recordedRequirements(decision: Decision): readonly Requirement[] {
  const reasons = new Map(decision.reasons.map((reason) => [reason.code, reason]));
  const waived = (decision.obligations.waived ?? []) as readonly string[];
  return [...new Set([...reasons.keys(), ...decision.rules])].map((code) => ({
    code,
    held: !reasons.has(code) && !waived.includes(code),
    waived: waived.includes(code),
    message: reasons.get(code)?.message ?? "",
    remedy: reasons.get(code)?.remedy ?? "",
    differences: [],
    file: "",
    line: 0,
    conditions: [],
  }));
}

interface MissingProps {
  readonly requirement: Requirement;
  readonly reason: Reason | undefined;
  readonly lines: SourceLines;
}

export function Missing({ requirement, reason, lines }: MissingProps) {
  const { code, waived, message, remedy, file, line, conditions } = requirement;
  return (
    <section class="requirement" aria-label={code}>
      <h3>
        <code>{code}</code> {waived ? <Badge tone="warn">waived</Badge> : <Badge tone="bad">missing</Badge>}
      </h3>
      {message === "" ? null : <p>{message}</p>}
      {remedy === "" ? null : (
        <p>
          <strong>Remedy:</strong> {remedy}
        </p>
      )}
      {reason?.until === undefined ? null : (
        <p>
          It will be met by itself at <Moment seconds={reason.until} />.
        </p>
      )}
      {reason?.differences?.length ? <Differences differences={reason.differences} /> : null}
      <Place file={file} line={line} lines={lines} />
      {conditions.map((condition) => (
        <NotSo key={`${condition.file}:${condition.line}`} condition={condition} />
      ))}
    </section>
  );
}

function Differences({ differences }: { differences: readonly Difference[] }) {
  return (
    <table class="values">
      <thead>
        <tr>
          <th scope="col">Claim</th>
          <th scope="col">Seen</th>
          <th scope="col">Wanted</th>
        </tr>
      </thead>
      <tbody>
        {differences.map(({ claim, seen, wanted }) => (
          <tr key={claim}>
            <th scope="row">{claim}</th>
            <td>{seen || "not stated"}</td>
            <td>{wanted.join(" or ") || "nothing of the kind"}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** Where a rule stands; where it may be read, its line, and the way to it in the workbench. */
function Place({ file, line, lines }: { file: string; line: number; lines: SourceLines }) {
  if (file === "") return null;
  const text = lines(file, line);
  const place = `${file}:${line}`;
  return (
    <div class="place">
      {text === undefined ? (
        <code>{place}</code>
      ) : (
        <>
          <a href={addressed("/console/policies", { file, line })}>
            <code>{place}</code>
          </a>
          <code class="source">{text}</code>
        </>
      )}
    </div>
  );
}

/** An expression that did not hold, with what it read of the request and of the policy's data. */
function NotSo({ condition }: { condition: Condition }) {
  const values = Object.entries(condition.values);
  return (
    <div class="not-so">
      <span>not so:</span> <code class="source">{condition.text}</code>
      <code class="where">
        {condition.file}:{condition.line}
      </code>
      {values.length === 0 ? null : (
        <table class="values">
          <thead>
            <tr>
              <th scope="col">It read</th>
              <th scope="col">Seen</th>
              <th scope="col">Wanted</th>
            </tr>
          </thead>
          <tbody>
            {values.map(([name, value]) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td>{name.startsWith("data.") ? null : <Seen value={value} />}</td>
                <td>{name.startsWith("data.") ? <Seen value={value} /> : null}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </div>
  );
}

function Seen({ value }: { value: unknown }) {
  return value === "undefined" ? <em>not there</em> : <Value value={value} />;
}

export function Held({ requirements, lines }: { requirements: readonly Requirement[]; lines: SourceLines }) {
  return (
    <details class="held">
      <summary>
        {requirements.length} {requirements.length === 1 ? "requirement" : "requirements"}
      </summary>
      <ul>
        {requirements.map(({ code, file, line }) => (
          <li key={code}>
            <span>
              <code>{code}</code> <Badge tone="good">held</Badge>
            </span>
            <Place file={file} line={line} lines={lines} />
          </li>
        ))}
      </ul>
    </details>
  );
}
