/** The shadow: the policies on the bench decide beside the live ones, without effect, and what they would change counts. */

import { useEffect } from "preact/hooks";
import { call, get, Refusal } from "../../api/client";
import { useFresh } from "../../api/fresh";
import { Badge, Code, Moment, Part, Refused } from "../../ui/parts";
import { Groups } from "./groups";
import { OwnKey, useOwnKey } from "./own-key";
import { Shell } from "./shell";
import * as wire from "./wire";
import { useWork } from "./work";
import type { Workbench } from "./workbench";

const PATH = "/v1/policies/shadow";
const ASK_MILLISECONDS = 3000;

export function Shadow({ bench, subject }: { bench: Workbench; subject: string }) {
  const key = useOwnKey(subject);
  const loaded = useFresh(report, [], ["policies"]);
  const starting = useWork(async () => {
    if (!key) return;
    const { answer: bundle } = await bench.ask((draft) => wire.bundle(draft));
    const token = await key.sign(bundle.claims);
    await bench.ask((draft) => wire.shadow(draft, token));
    loaded.again();
  });
  const stopping = useWork(async () => {
    await call("DELETE", PATH);
    loaded.again();
  });
  const found = loaded.value;
  const decides = found != null && found.shadow.stopped_at == null;
  const { again } = loaded;
  useEffect(() => {
    // Not with each decision: that this is read is one, too.
    if (!decides) return;
    const asking = setInterval(again, ASK_MILLISECONDS);
    return () => clearInterval(asking);
  }, [decides, again]);
  const count = Object.keys(bench.changes.value).length;
  return (
    <>
      <Part
        title="In the shadow"
        beside={
          <span class="line">
            <button
              type="button"
              class="main"
              onClick={starting.begin}
              disabled={!key || count === 0 || starting.isRunning}
            >
              {starting.isRunning ? "Building, signing, checking …" : "Put what is on the bench in the shadow"}
            </button>
            <button type="button" onClick={stopping.begin} disabled={!decides || stopping.isRunning}>
              Take it out
            </button>
          </span>
        }
      >
        <p class="faint">
          It decides on live traffic beside what is in force, and nothing that it decides has an effect.{" "}
          {count === 0 ? "Nothing is changed on the bench." : `${count} changed files are on the bench.`}{" "}
          {key === null ? "A key of this browser has to sign it: make one below." : ""}
        </p>
        <Refused refusal={loaded.refusal} />
        <Refused refusal={starting.refusal} />
        <Refused refusal={stopping.refusal} />
        {found === undefined ? null : found === null ? (
          <p class="empty">No candidate was in the shadow yet.</p>
        ) : (
          <Report found={found} />
        )}
        <Shell
          commands={[
            "ztfm policy shadow start --policies my-policies",
            "ztfm policy shadow report --watch",
            "ztfm policy shadow stop",
          ]}
        />
      </Part>
      <Part title="The key of this browser">
        <OwnKey subject={subject} trusted={undefined} />
      </Part>
    </>
  );
}

async function report(signal: AbortSignal): Promise<wire.ShadowReport | null> {
  try {
    return await get<wire.ShadowReport>(PATH, {}, signal);
  } catch (error) {
    if (error instanceof Refusal && error.status === 404) return null;
    throw error;
  }
}

function Report({ found }: { found: wire.ShadowReport }) {
  const { shadow, agreed, failed, dropped } = found;
  const changed = Object.values(found.changes).reduce((sum, count) => sum + count, 0);
  const groups = found.groups.map(({ samples, ...group }) => ({ ...group, examples: samples }));
  return (
    <>
      <p>
        <Badge tone={shadow.stopped_at == null ? "good" : "plain"}>
          {shadow.stopped_at == null ? "decides" : "stopped"}
        </Badge>{" "}
        <code>{shadow.revision}</code> since <Moment seconds={shadow.started_at} />, by{" "}
        <Code text={shadow.started_by} />.
      </p>
      <p role="status">
        {(agreed + changed).toLocaleString()} decisions compared: {agreed.toLocaleString()} agree,{" "}
        {changed.toLocaleString()} do not.
        {failed > 0 ? ` On ${failed.toLocaleString()} it gave no decision.` : ""}
        {dropped > 0 ? ` It was not asked about ${dropped.toLocaleString()}: more came than it could take.` : ""}
      </p>
      {groups.length === 0 ? null : <Groups label="What it would change" groups={groups} />}
    </>
  );
}
