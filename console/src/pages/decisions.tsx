/** What was decided: found by filters, opened one by one, and proven to be on record. */

import { useCallback } from "preact/hooks";
import { useLocation, useRoute } from "preact-iso";
import { session } from "../session";
import { Command } from "../ui/command";
import { Part } from "../ui/parts";
import { FilterBar } from "./decisions/filterbar";
import { addressOf, commandOf, type Filters, filtersOf } from "./decisions/filters";
import { DecisionList } from "./decisions/list";
import { useListing, useNewer } from "./decisions/listing";
import { Opened } from "./decisions/opened";
import "./decisions/decisions.css";

export default function Decisions() {
  const { query, route } = useLocation();
  const { id } = useRoute().params;
  const filters = filtersOf(query);
  const listing = useListing(filters);
  const newer = useNewer(filters, listing.rows, session.value?.subject ?? "");
  const narrow = useCallback((wanted: Filters) => route(addressOf(wanted, id)), [route, id]);
  const close = () => {
    const row = document.querySelector<HTMLElement>('.explorer [role="row"][aria-selected="true"]');
    route(addressOf(filters));
    requestAnimationFrame(() => row?.focus());
  };
  return (
    <>
      <h1>Decisions</h1>
      {/* biome-ignore lint/a11y/noStaticElementInteractions: Escape closes what is open, wherever the focus is */}
      <div
        class={id === undefined ? "explorer" : "explorer split has-opened"}
        onKeyDown={(event) => event.key === "Escape" && id !== undefined && !isField(event.target) && close()}
      >
        <div class="explorer-list">
          <FilterBar filters={filters} rows={listing.rows} onChange={narrow} />
          <Part title="Recorded decisions">
            <DecisionList
              listing={listing}
              newer={newer}
              chosen={id}
              onOpen={(decision) => route(addressOf(filters, decision.id))}
            />
            <Command text={commandOf(filters)} />
          </Part>
        </div>
        {id === undefined ? null : <Opened key={id} id={id} onClose={close} />}
      </div>
    </>
  );
}

/** Whether Escape is a field's own, to close what it proposes. */
function isField(target: EventTarget | null): boolean {
  return target instanceof HTMLInputElement || target instanceof HTMLSelectElement;
}
