/** Orders to rebuild a model without what somebody contributed, and what became of them. */

import { get } from "../../api/client";
import { useFresh } from "../../api/fresh";
import { Command } from "../../ui/command";
import { Badge, Code, Moment, Part, Refused } from "../../ui/parts";
import type { Rollback } from "./types";

const MOST = 50;
const TONES = { ordered: "warn", done: "good", failed: "bad" } as const;

export function Orders() {
  const found = useFresh(
    (signal) => get<{ rollbacks: readonly Rollback[] }>("/v1/rollbacks", { limit: MOST }, signal),
    [],
    ["rollbacks", "rounds"],
  );
  const orders = found.value?.rollbacks ?? [];
  return (
    <Part title="Rollbacks">
      <Refused refusal={found.refusal} />
      {found.value !== undefined && orders.length === 0 ? <p class="empty">None was ordered.</p> : null}
      {orders.length === 0 ? null : (
        <table class="plain" aria-label="Rollbacks">
          <thead>
            <tr>
              <th scope="col">State</th>
              <th scope="col">From round</th>
              <th scope="col">Without</th>
              <th scope="col">Why</th>
              <th scope="col">Ordered</th>
              <th scope="col">What became of it</th>
            </tr>
          </thead>
          <tbody>
            {orders.map((order) => (
              <Order key={order.id} order={order} />
            ))}
          </tbody>
        </table>
      )}
      <Command text="ztfm rounds rollbacks" />
    </Part>
  );
}

function Order({ order }: { order: Rollback }) {
  return (
    <tr>
      <td>
        <Badge tone={TONES[order.state]}>{order.state}</Badge>
      </td>
      <td class="name">
        <a href={`/console/federation/${encodeURIComponent(order.round_id)}`}>{order.round_id}</a>
      </td>
      <td class="name">
        {order.subjects.slice(0, 3).map((subject) => (
          <div key={subject}>
            <a href={`/console/fleet/${encodeURIComponent(subject)}`}>{subject}</a>
          </div>
        ))}
        {order.subjects.length > 3 ? `and ${order.subjects.length - 3} more` : null}
      </td>
      <td>{order.reason}</td>
      <td>
        <Moment seconds={order.ordered_at} /> by <Code text={order.ordered_by} />
        <div>
          <DecisionLink id={order.decision_id} />
        </div>
      </td>
      <td>
        {order.state === "ordered" ? "Its aggregator carries it out after its next round." : ended(order)}
        {order.fault === "" ? null : <p class="fault">{order.fault}</p>}
      </td>
    </tr>
  );
}

function ended(order: Rollback): string {
  return `${order.rounds} rounds done again, ${order.left_out} updates left out.`;
}

/** The way to a recorded decision; what the command line did has none. */
export function DecisionLink({ id }: { id: string | null | undefined }) {
  if (id == null) return null;
  if (!id.startsWith("dec-")) return <span>{id}</span>;
  return <a href={`/console/decisions/${id}`}>decision</a>;
}
