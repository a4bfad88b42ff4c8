/** Publishing, step by step: checked, tested, replayed, built, signed here, released. */

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { get } from "../../api/client";
import { Badge, Code, Refused } from "../../ui/parts";
import { Dialog } from "./dialog";
import { OwnKey, useOwnKey } from "./own-key";
import { ReplayAnswer } from "./replaying";
import { save } from "./saving";
import { Shell } from "./shell";
import { ELSEWHERE, unsignedBundle } from "./signing";
import { saidOf } from "./testing";
import * as wire from "./wire";
import { useWork } from "./work";
import type { About, Workbench } from "./workbench";

const WEEK_SECONDS = 7 * 86_400;
const REPLAYED = 10_000;
const ASK_MILLISECONDS = 500;
const MOST_ASKED = 120;

interface Publishing {
  readonly bench: Workbench;
  readonly subject: string;
  readonly onClose: () => void;
}

export function Publishing({ bench, subject, onClose }: Publishing) {
  const key = useOwnKey(subject);
  const [lookedAt, setLookedAt] = useState<About<wire.Replayed>>();
  const [built, setBuilt] = useState<About<wire.Bundle>>();
  const [released, setReleased] = useState<wire.Release>();
  const [decides, setDecides] = useState(false);
  const testing = useWork(() => bench.test());
  const replaying = useWork(() => bench.replay(WEEK_SECONDS, REPLAYED));
  const building = useWork(async () => setBuilt(await bench.ask((draft) => wire.bundle(draft))));
  const bundle = bench.isCurrent(built) ? built?.answer : undefined;
  const releasing = useWork(async () => {
    if (bundle === undefined || !key) return;
    const token = await key.sign(bundle.claims);
    const { answer: made } = await bench.ask((draft) => wire.release(draft, token));
    setReleased(made);
    await takenOver(made);
    setDecides(true);
    await bench.load();
  });
  if (released !== undefined) {
    return (
      <Dialog title="Published" onClose={onClose}>
        <p role="status">
          Release {released.sequence}, revision <code>{released.revision}</code>, signed by{" "}
          <Code text={released.key_id} />. {decides ? "It decides now." : "It decides within seconds …"}
        </p>
        <Refused refusal={releasing.refusal} />
        <button type="button" class="main" onClick={onClose}>
          Done
        </button>
      </Dialog>
    );
  }
  const replay = bench.isCurrent(bench.replayed.value) ? bench.replayed.value : undefined;
  const hasLooked = replay !== undefined && lookedAt === replay;
  const isTrusted = bundle !== undefined && !!key && bundle.key_ids.includes(key.id);
  const isReady = bench.passesChecks && bench.passesTests && hasLooked && isTrusted;
  return (
    <Dialog title="Publish the policies on the bench" onClose={onClose}>
      <ol class="steps">
        <Step title="Checks find nothing" isDone={bench.passesChecks}>
          {bench.isChecking.value ? "Checking …" : `${bench.findings.value.length} found.`}
          <Refused refusal={bench.checkRefusal.value} />
        </Step>
        <Step title="Tests pass" isDone={bench.passesTests}>
          <button type="button" onClick={testing.begin} disabled={testing.isRunning}>
            {testing.isRunning ? "Running the tests …" : "Run the tests"}
          </button>{" "}
          {bench.isCurrent(bench.tested.value) ? saidOf(bench) : "Not run on these policies."}
          <Refused refusal={testing.refusal} />
        </Step>
        <Step title="You know what would have changed last week" isDone={hasLooked}>
          <button type="button" onClick={replaying.begin} disabled={replaying.isRunning}>
            {replaying.isRunning ? "Replaying …" : "Replay last week's decisions"}
          </button>
          <Refused refusal={replaying.refusal} />
          {replay === undefined ? null : (
            <>
              <ReplayAnswer bench={bench} />
              <label class="check">
                <input
                  type="checkbox"
                  checked={hasLooked}
                  onChange={() => setLookedAt(hasLooked ? undefined : replay)}
                />{" "}
                I have looked at it
              </label>
            </>
          )}
        </Step>
        <Step title="A key that is trusted signs" isDone={isTrusted}>
          <button type="button" onClick={building.begin} disabled={building.isRunning}>
            {building.isRunning ? "Building …" : "Build the bundle"}
          </button>{" "}
          {bundle === undefined ? null : (
            <>
              Revision <code>{bundle.revision}</code>.
            </>
          )}
          <Refused refusal={building.refusal} />
          <OwnKey subject={subject} trusted={bundle?.key_ids} />
          {bundle === undefined ? null : <Elsewhere bundle={bundle} />}
        </Step>
      </ol>
      <Refused refusal={releasing.refusal} />
      <div class="line">
        <button type="button" class="main" onClick={releasing.begin} disabled={!isReady || releasing.isRunning}>
          {releasing.isRunning ? "Signing, checking, publishing …" : "Sign and publish"}
        </button>
        <span class="faint">
          {isReady ? "Every control plane decides by it within two seconds." : "Each step above has to be done first."}
        </span>
      </div>
    </Dialog>
  );
}

function Step({ title, isDone, children }: { title: string; isDone: boolean; children: ComponentChildren }) {
  return (
    <li>
      <h3>
        {title} <Badge tone={isDone ? "good" : "plain"}>{isDone ? "done" : "to do"}</Badge>
      </h3>
      {children}
    </li>
  );
}

/** For a key that lies elsewhere. */
function Elsewhere({ bundle }: { bundle: wire.Bundle }) {
  return (
    <details>
      <summary>Or sign it with a key that lies elsewhere</summary>
      <button type="button" onClick={() => save(unsignedBundle(bundle), "base.tar.gz", "application/gzip")}>
        Download the bundle
      </button>
      <Shell commands={ELSEWHERE} />
    </details>
  );
}

/** Returns once the release decides at the control plane that is asked. */
async function takenOver(release: wire.Release): Promise<void> {
  for (let asked = 0; asked < MOST_ASKED; asked += 1) {
    const { layers } = await get<wire.Standing>("/v1/policies");
    if (layers.some((one) => one.layer === release.layer && one.active_revision === release.revision)) return;
    await new Promise((resolve) => setTimeout(resolve, ASK_MILLISECONDS));
  }
}
