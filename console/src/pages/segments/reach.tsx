/** Can this reach that? Asked of the rules that the table compiles to. */

import { useState } from "preact/hooks";
import { get, type Query } from "../../api/client";
import { Command, quoted } from "../../ui/command";
import { Badge, Moment, Part, Refused } from "../../ui/parts";
import { useAttempt } from "../fleet/attempt";
import type { Reach } from "./types";

const FROM = { device: "device", source: "address", site: "site", line: "line", device_class: "class of device" };
const TO = { service: "service", destination: "address" };

interface Found {
  readonly reaches: readonly Reach[];
  readonly complete: boolean;
}

interface Question {
  readonly from: keyof typeof FROM;
  readonly fromWhat: string;
  readonly to: keyof typeof TO;
  readonly toWhat: string;
  readonly port: string;
  readonly protocol: string;
}

const NOTHING: Question = { from: "device", fromWhat: "", to: "service", toWhat: "", port: "", protocol: "tcp" };

export function ReachPart() {
  const [question, put] = useState<Question>(NOTHING);
  const [found, find] = useState<Found | undefined>(undefined);
  const { refusal, isAsking, attempt } = useAttempt();
  const change = (changes: Partial<Question>) => put({ ...question, ...changes });
  const ask = (event: Event) => {
    event.preventDefault();
    find(undefined);
    attempt(async () => find(await get<Found>("/v1/segments/reach", queryOf(question))));
  };
  return (
    <Part title="Can this reach that?">
      <form class="filters" onSubmit={ask} aria-label="Can this reach that?">
        <Choice label="From a" names={FROM} value={question.from} onChoose={(from) => change({ from })} />
        <label>
          Which
          <input
            required
            maxLength={128}
            value={question.fromWhat}
            onInput={(event) => change({ fromWhat: event.currentTarget.value })}
          />
        </label>
        <Choice label="to a" names={TO} value={question.to} onChoose={(to) => change({ to })} />
        <label>
          Named
          <input
            required
            maxLength={64}
            value={question.toWhat}
            onInput={(event) => change({ toWhat: event.currentTarget.value })}
          />
        </label>
        <label>
          Port
          <input
            type="number"
            min="1"
            max="65535"
            required={question.to === "destination"}
            value={question.port}
            onInput={(event) => change({ port: event.currentTarget.value })}
          />
        </label>
        <Choice
          label="Protocol"
          names={{ tcp: "tcp", udp: "udp" }}
          value={question.protocol}
          onChoose={(protocol) => change({ protocol })}
        />
        <button type="submit" class="main" disabled={isAsking}>
          Ask
        </button>
      </form>
      <Refused refusal={refusal} />
      <div aria-live="polite">{found === undefined ? null : <Answers found={found} />}</div>
      <Command text={commandOf(question)} />
    </Part>
  );
}

interface Chosen<K extends string> {
  readonly label: string;
  readonly names: Readonly<Record<K, string>>;
  readonly value: string;
  readonly onChoose: (value: K) => void;
}

function Choice<K extends string>({ label, names, value, onChoose }: Chosen<K>) {
  return (
    <label>
      {label}
      <select value={value} onChange={(event) => onChoose(event.currentTarget.value as K)}>
        {Object.entries<string>(names).map(([name, words]) => (
          <option key={name} value={name}>
            {words}
          </option>
        ))}
      </select>
    </label>
  );
}

function queryOf({ from, fromWhat, to, toWhat, port, protocol }: Question): Query {
  return { [from]: fromWhat.trim(), [to]: toWhat.trim(), port, protocol };
}

function commandOf(question: Question): string {
  const given = Object.entries(queryOf(question)).filter(([, value]) => value !== "");
  const options = given.map(([name, value]) => ` --${name.replace("_", "-")} ${quoted(String(value))}`);
  return `ztfm segments reach --key FOLDER${options.join("")}`;
}

function Answers({ found }: { found: Found }) {
  if (found.reaches.length === 0) return <p>Nobody of that name is attached, or there is no such service.</p>;
  return (
    <>
      <table class="plain" aria-label="Answers">
        <thead>
          <tr>
            <th scope="col">Answer</th>
            <th scope="col">From</th>
            <th scope="col">To</th>
            <th scope="col">Because</th>
            <th scope="col">Until</th>
          </tr>
        </thead>
        <tbody>
          {found.reaches.map((one) => (
            <Answer key={`${one.reach.source} ${one.reach.destination} ${one.reach.port}`} one={one} />
          ))}
        </tbody>
      </table>
      {found.complete ? null : <p class="fine">There are more answers: narrow the question.</p>}
    </>
  );
}

function Answer({ one: { device, service, reach } }: { one: Reach }) {
  return (
    <tr>
      <td>
        <Badge tone={reach.reaches ? "good" : "bad"}>{reach.reaches ? "reaches" : "does not reach"}</Badge>
      </td>
      <td class="name">
        {device ?? ""} <code>{reach.source}</code>
      </td>
      <td>
        {service ?? ""}{" "}
        <code>
          {reach.destination} {reach.protocol} {reach.port}
        </code>
      </td>
      <td>{reach.because}</td>
      <td>{reach.until == null ? "–" : <Moment seconds={reach.until} />}</td>
    </tr>
  );
}
