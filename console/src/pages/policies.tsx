/** Policies: the bench on which they are written and tried, what was released, and the shadow. */

import { useEffect, useMemo, useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { useLoaded } from "../api/loading";
import { session } from "../session";
import { Refused } from "../ui/parts";
import { Bench } from "./policies/bench";
import "./policies/policies.css";
import { Releases } from "./policies/releases";
import { Shadow } from "./policies/shadow";
import { Workbench } from "./policies/workbench";

const VIEWS = [
  ["bench", "Workbench"],
  ["releases", "Releases"],
  ["shadow", "Shadow"],
] as const;

export default function Policies() {
  const subject = session.value?.subject ?? "";
  const { query } = useLocation();
  const bench = useMemo(() => new Workbench(subject), [subject]);
  const [isThere, setThere] = useState(false);
  useEffect(() => () => bench.close(), [bench]);
  const loaded = useLoaded(
    async (signal) => {
      await bench.load(signal);
      setThere(true);
    },
    [bench],
  );
  useEffect(() => {
    if (isThere && query.file) bench.open(query.file, Number(query.line) || 0);
  }, [bench, isThere, query.file, query.line]);
  const view = VIEWS.find(([name]) => name === query.view)?.[0] ?? "bench";
  return (
    <div class="policies">
      <div class="part-head">
        <h1>Policies</h1>
        <nav aria-label="Parts of this page" class="views">
          {VIEWS.map(([name, title]) => (
            <a
              key={name}
              href={name === "bench" ? "/console/policies" : `/console/policies?view=${name}`}
              aria-current={name === view ? "page" : undefined}
            >
              {title}
            </a>
          ))}
        </nav>
      </div>
      {view === "releases" ? <Releases subject={subject} /> : null}
      {view === "releases" ? null : <Refused refusal={loaded.refusal} />}
      {view === "shadow" ? <Shadow bench={bench} subject={subject} /> : null}
      {view !== "bench" ? null : isThere ? (
        <Bench bench={bench} subject={subject} />
      ) : (
        <p class="waiting">{loaded.isLoading ? "Loading the policies …" : "There is nothing to show."}</p>
      )}
    </div>
  );
}
