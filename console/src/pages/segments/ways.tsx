/** The table of grants: as a graph, as a table, and each edge with the grants that it stands for. */

import { useEffect, useRef, useState } from "preact/hooks";
import { get } from "../../api/client";
import { useFresh } from "../../api/fresh";
import { Command } from "../../ui/command";
import { Code, Moment, Part, Refused } from "../../ui/parts";
import { type Column, RowList } from "../../ui/rows";
import { type Edge, edgesOf, GROUPINGS, type Grouping } from "./edges";
import { counted, Graph } from "./graph";
import type { Cut, Grant, GrantTable, Service } from "./types";

const SELDOM_MS = 3_000;

export function Ways() {
  const found = useFresh(
    (signal) => get<GrantTable>("/v1/segments/table", {}, signal),
    [],
    ["devices", "decisions"],
    SELDOM_MS,
  );
  const [by, group] = useState<Grouping>("segment");
  const [chosen, choose] = useState<string | undefined>(undefined);
  const table = found.value;
  const edges = table === undefined ? [] : edgesOf(table, by);
  const edge = edges.find((one) => one.id === chosen);
  return (
    <>
      <Part
        title="Who may talk to whom"
        beside={
          <label>
            Devices by{" "}
            <select value={by} onChange={(event) => group(event.currentTarget.value as Grouping)}>
              {Object.entries(GROUPINGS).map(([name, words]) => (
                <option key={name} value={name}>
                  {words}
                </option>
              ))}
            </select>
          </label>
        }
      >
        <Refused refusal={found.refusal} />
        {table === undefined ? null : (
          <>
            <p role="status">
              Grants: {table.grants.length}, in ways: {edges.length}, devices cut off: {table.cuts.length}; made{" "}
              <Moment seconds={table.made_at} />
            </p>
            <div class="split">
              <Graph edges={edges} services={Object.keys(table.services).sort()} chosen={chosen} onChoose={choose} />
              <EdgeTable edges={edges} services={table.services} chosen={chosen} onChoose={choose} />
            </div>
          </>
        )}
        <Command text="ztfm segments table --key FOLDER" />
      </Part>
      {edge === undefined || table === undefined ? null : <Way edge={edge} service={table.services[edge.to]} />}
      {table === undefined || table.cuts.length === 0 ? null : <Cuts cuts={table.cuts} />}
    </>
  );
}

interface Listed {
  readonly edges: readonly Edge[];
  readonly services: Readonly<Record<string, Service>>;
  readonly chosen: string | undefined;
  readonly onChoose: (id: string) => void;
}

function EdgeTable({ edges, services, chosen, onChoose }: Listed) {
  if (edges.length === 0) return <p class="empty">Nothing is granted: every packet is dropped.</p>;
  return (
    <table class="plain" aria-label="Ways as a table">
      <thead>
        <tr>
          <th scope="col">From</th>
          <th scope="col">To</th>
          <th scope="col">Ports</th>
          <th scope="col">Grants</th>
          <th scope="col">Until</th>
        </tr>
      </thead>
      <tbody>
        {edges.map((edge) => (
          <tr key={edge.id} class={edge.id === chosen ? "chosen" : undefined}>
            <td>
              <button type="button" aria-pressed={edge.id === chosen} onClick={() => onChoose(edge.id)}>
                {edge.from}
              </button>
            </td>
            <td>{edge.to}</td>
            <td>{portsOf(services[edge.to])}</td>
            <td>{counted(edge)}</td>
            <td>
              <Moment seconds={edge.until} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function portsOf(service: Service | undefined): string {
  return service === undefined ? "" : `${service.protocol} ${service.ports.join(", ")}`;
}

const COLUMNS: readonly Column<Grant>[] = [
  {
    name: "Device",
    width: "minmax(8rem, 2fr)",
    cell: (grant) => (
      <a class="mono" href={`/console/fleet/${encodeURIComponent(grant.device)}`}>
        {grant.device}
      </a>
    ),
  },
  { name: "From", width: "minmax(6rem, 1fr)", cell: (grant) => <code>{grant.source}</code> },
  { name: "Site", width: "minmax(4rem, 1fr)", cell: (grant) => grant.site },
  { name: "Class", width: "minmax(4rem, 1fr)", cell: (grant) => grant.device_class },
  { name: "Until", width: "11.5rem", cell: (grant) => <Moment seconds={grant.expires_at} /> },
  {
    name: "Because",
    width: "5rem",
    cell: (grant) => <a href={`/console/decisions/${grant.decision}`}>decision</a>,
  },
];

function Way({ edge, service }: { edge: Edge; service: Service | undefined }) {
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => place.current?.scrollIntoView({ block: "nearest" }), [edge.id]);
  return (
    <div ref={place}>
      <Part title={`Grants ${edge.id}`} beside={<span role="status">{counted(edge)}</span>}>
        {service === undefined ? null : (
          <p>
            To {service.addresses.join(", ")}, {portsOf(service)}, with capabilities for{" "}
            <Code text={service.audience} />.
          </p>
        )}
        <RowList label={`Grants ${edge.id}`} columns={COLUMNS} rows={edge.grants} keyOf={(grant) => grant.id} />
      </Part>
    </div>
  );
}

function Cuts({ cuts }: { cuts: readonly Cut[] }) {
  return (
    <Part title="Cut off">
      <table class="plain" aria-label="Cut off">
        <thead>
          <tr>
            <th scope="col">Device</th>
            <th scope="col">Address</th>
            <th scope="col">Why</th>
          </tr>
        </thead>
        <tbody>
          {cuts.slice(0, 200).map((cut) => (
            <tr key={cut.device}>
              <td class="name">
                <a href={`/console/fleet/${encodeURIComponent(cut.device)}`}>{cut.device}</a>
              </td>
              <td>
                <code>{cut.address}</code>
              </td>
              <td>{cut.reason}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {cuts.length > 200 ? <p class="fine">and {cuts.length - 200} more</p> : null}
    </Part>
  );
}
