/** What policies would decide otherwise, by change, reason, segment and action, with decisions as examples. */

import { Badge } from "../../ui/parts";
import type { ReplayedGroup } from "./wire";

const TONES: Readonly<Record<string, "good" | "bad" | "warn">> = {
  newly_denied: "bad",
  allow_to_deny: "bad",
  failed: "bad",
  newly_allowed: "warn",
  deny_to_allow: "warn",
};

/** A word of the wire as people read it. */
function said(word: string): string {
  return word.replaceAll("_", " ");
}

export function Groups({ label, groups }: { label: string; groups: readonly ReplayedGroup[] }) {
  return (
    <table class="groups">
      <caption class="unseen">{label}</caption>
      <thead>
        <tr>
          <th scope="col">Change</th>
          <th scope="col">Reason</th>
          <th scope="col">Segment</th>
          <th scope="col">Action</th>
          <th scope="col">Decisions</th>
          <th scope="col">Examples</th>
        </tr>
      </thead>
      <tbody>
        {groups.map((group) => (
          <tr key={`${group.change} ${group.reason} ${group.segment} ${group.action}`}>
            <td>
              <Badge tone={TONES[group.change] ?? "plain"}>{said(group.change)}</Badge>
            </td>
            <td>
              <code>{group.reason}</code>
            </td>
            <td>{group.segment}</td>
            <td>{group.action}</td>
            <td>{group.count.toLocaleString()}</td>
            <td>
              {group.examples.map((id) => (
                <a key={id} class="mono example" href={`/console/decisions/${id}`} title={id}>
                  …{id.slice(-8)}
                </a>
              ))}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
