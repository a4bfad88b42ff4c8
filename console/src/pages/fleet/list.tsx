/** Who is enrolled, narrowed by the filters in the page's address. */

import { useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { addressed } from "../../api/client";
import { useSoon } from "../../api/fresh";
import { shortly } from "../../charts/scale";
import { Command } from "../../ui/command";
import { Moment, Part, Refused, Standing } from "../../ui/parts";
import { type Column, RowList } from "../../ui/rows";
import { commandOf, FilterBar, filtersOf } from "./filters";
import { useDevices } from "./paging";
import { type Listed, standing } from "./types";

const FEW = 200;

const COLUMNS: readonly Column<Listed>[] = [
  { name: "Device", width: "minmax(9rem, 2fr)", cell: (device) => <span class="mono">{device.id}</span> },
  { name: "Stands", width: "7rem", cell: (device) => <Standing word={standing(device)} /> },
  { name: "Trust", width: "4rem", cell: (device) => shortly(device.trust.score) },
  { name: "Segment", width: "minmax(4rem, 1fr)", cell: (device) => device.segment },
  { name: "Roles", width: "minmax(5rem, 1fr)", cell: (device) => device.roles.join(", ") },
  { name: "Attested", width: "5rem", cell: (device) => device.attested ?? "–" },
  { name: "Enrolled", width: "11.5rem", cell: (device) => <Moment seconds={device.enrolled_at} /> },
];

/** What is left out where a device stands beside the list. */
const BESIDE = new Set(["Attested", "Enrolled"]);

export function DeviceList({ chosen }: { chosen: string | undefined }) {
  const { path, query, route } = useLocation();
  const filters = filtersOf(query);
  const found = useDevices(filters);
  const [isOld, age] = useState(false);
  const again = () => {
    age(false);
    found.again();
  };
  useSoon(["devices"], () => {
    // Whoever has scrolled far keeps their place, and is told.
    if (found.devices.length > FEW) age(true);
    else if (!found.isLoading) found.again();
  });
  return (
    <Part
      title="Devices"
      beside={
        <span>
          {isOld ? (
            <button type="button" onClick={again}>
              Some changed: list anew
            </button>
          ) : null}{" "}
          <span role="status">{found.total === undefined ? "Loading …" : `${found.total} devices`}</span>
        </span>
      }
    >
      <FilterBar filters={filters} onChange={(wanted) => route(addressed(path, wanted), true)} />
      <Refused refusal={found.refusal} />
      {found.total === undefined ? null : (
        <RowList
          key={commandOf(filters)}
          label="Devices"
          columns={chosen === undefined ? COLUMNS : COLUMNS.filter((column) => !BESIDE.has(column.name))}
          rows={found.devices}
          keyOf={(device) => device.id}
          chosen={chosen ?? ""}
          total={found.total}
          onEnd={found.more}
          empty="No device fits these filters."
          onOpen={(device) => route(addressed(`/console/fleet/${encodeURIComponent(device.id)}`, filters))}
        />
      )}
      <Command text={commandOf(filters)} />
    </Part>
  );
}
