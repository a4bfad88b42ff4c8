/** Where devices are on the network, as whoever runs it said. */

import { useCallback, useState } from "preact/hooks";
import { get } from "../../api/client";
import { useFresh } from "../../api/fresh";
import { Command } from "../../ui/command";
import { Moment, Part, Refused } from "../../ui/parts";
import { type Column, RowList } from "../../ui/rows";
import type { Attachment } from "./types";

const PAGE = 500;

interface Found {
  readonly attachments: readonly Attachment[];
  readonly after?: string | null;
  readonly known: boolean;
}

const COLUMNS: readonly Column<Attachment>[] = [
  {
    name: "Device",
    width: "minmax(9rem, 2fr)",
    cell: (one) => (
      <a class="mono" href={`/console/fleet/${encodeURIComponent(one.device)}`}>
        {one.device}
      </a>
    ),
  },
  { name: "Address", width: "minmax(7rem, 1fr)", cell: (one) => <code>{one.address}</code> },
  { name: "Site", width: "minmax(5rem, 1fr)", cell: (one) => one.site },
  { name: "Line", width: "minmax(4rem, 1fr)", cell: (one) => one.line ?? "–" },
  { name: "Class", width: "minmax(5rem, 1fr)", cell: (one) => one.device_class },
  { name: "Recorded", width: "11.5rem", cell: (one) => <Moment seconds={one.recorded_at} /> },
];

export function Attachments() {
  const [pages, want] = useState(1);
  const found = useFresh((signal) => load(pages, signal), [pages], ["devices"]);
  const told = found.value;
  const more = useCallback(() => want((before) => before + 1), []);
  return (
    <Part title="Where devices are">
      <Refused refusal={found.refusal} />
      {told === undefined ? null : (
        <>
          {told.known ? null : <p>The control plane cannot read this now, and makes no grants.</p>}
          <RowList
            label="Where devices are"
            columns={COLUMNS}
            rows={told.attachments}
            keyOf={(one) => one.device}
            onEnd={told.after == null || found.isLoading ? undefined : more}
            empty="Nobody said where any device is."
          />
        </>
      )}
      <Command text="ztfm segments attachments list" />
    </Part>
  );
}

/** Returns so many pages as one. */
async function load(pages: number, signal: AbortSignal): Promise<Found> {
  let found: Found = { attachments: [], after: null, known: true };
  for (let page = 0; page < pages; page += 1) {
    const next = await get<Found>("/v1/segments/attachments", { after: found.after ?? "", limit: PAGE }, signal);
    found = { ...next, attachments: [...found.attachments, ...next.attachments] };
    if (next.after == null) break;
  }
  return found;
}
