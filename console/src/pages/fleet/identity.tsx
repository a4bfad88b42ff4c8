/** The identifier of a device, the keys that it stands for now, and the records that made it so. */

import { useState } from "preact/hooks";
import { get } from "../../api/client";
import { useLoaded } from "../../api/loading";
import { Command } from "../../ui/command";
import { Badge, Code, Moment, Refused } from "../../ui/parts";
import { type HistoryEntry, historyOf, LOOKED_AT } from "./records";

interface Resolution {
  readonly didDocument: {
    readonly id: string;
    readonly verificationMethod?: readonly { readonly id: string }[];
  } | null;
  readonly didDocumentMetadata: { readonly canonicalId?: string | null; readonly deactivated?: boolean | null };
}

export function Identity({ id }: { id: string }) {
  const found = useLoaded((signal) => get<Resolution>(`/v1/identifiers/${encodeURIComponent(id)}`, {}, signal), [id]);
  const [isOpen, open] = useState(false);
  const did = found.value?.didDocumentMetadata.canonicalId ?? found.value?.didDocument?.id;
  return (
    <>
      <h3>Identity</h3>
      <Refused refusal={found.refusal} />
      {found.value === undefined ? null : (
        <p>
          {did === undefined ? "It stands for nothing any more." : <Code text={did} />}{" "}
          {found.value.didDocumentMetadata.deactivated ? <Badge tone="bad">deactivated</Badge> : null}
        </p>
      )}
      <details onToggle={(event) => open(event.currentTarget.open)}>
        <summary>History of the identity</summary>
        {isOpen ? <History id={id} /> : null}
      </details>
      <Command text={`ztfm identity history ${id}`} />
    </>
  );
}

function History({ id }: { id: string }) {
  const found = useLoaded((signal) => historyOf(id, signal), [id]);
  if (found.value === undefined) return <Refused refusal={found.refusal} />;
  if (found.value.entries.length === 0) {
    return (
      <p class="empty">
        Nothing in the latest {LOOKED_AT} records; the command looks through all.{" "}
        <button type="button" onClick={found.again}>
          Look again
        </button>
      </p>
    );
  }
  return (
    <table class="plain" aria-label="Records of the identity">
      <thead>
        <tr>
          <th scope="col">Act</th>
          <th scope="col">When</th>
          <th scope="col">Place in the log</th>
        </tr>
      </thead>
      <tbody>
        {found.value.entries.map((entry) => (
          <Entry key={entry.place} entry={entry} />
        ))}
      </tbody>
    </table>
  );
}

function Entry({ entry }: { entry: HistoryEntry }) {
  return (
    <tr>
      <td>{entry.act}</td>
      <td>
        <Moment seconds={entry.time_ms / 1000} />
      </td>
      <td>{entry.place}</td>
    </tr>
  );
}
