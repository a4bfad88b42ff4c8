/** What decides, what was released, by whom it was signed and published, and the way back. */

import { useState } from "preact/hooks";
import { ask, call, get } from "../../api/client";
import { useFresh } from "../../api/fresh";
import { Badge, Code, Moment, Part, Refused } from "../../ui/parts";
import { Dialog } from "./dialog";
import { OwnKey, useOwnKey } from "./own-key";
import { save } from "./saving";
import { Shell } from "./shell";
import type { Release, Standing } from "./wire";
import { useWork } from "./work";

const KEPT = 50;

export function Releases({ subject }: { subject: string }) {
  const key = useOwnKey(subject);
  const [goingBack, setGoingBack] = useState<Release>();
  const loaded = useFresh(
    async (signal) => {
      const [standing, { releases }] = await Promise.all([
        get<Standing>("/v1/policies", {}, signal),
        get<{ releases: readonly Release[] }>("/v1/policies/releases", { limit: KEPT }, signal),
      ]);
      return { standing, releases };
    },
    [],
    ["policies"],
  );
  const standing = loaded.value?.standing;
  const current = new Set(standing?.layers.map((layer) => layer.release?.sequence));
  return (
    <>
      <Refused refusal={loaded.refusal} />
      <Part title="What decides">
        {standing === undefined ? <p class="empty">Loading …</p> : <Deciding standing={standing} />}
        <Shell commands={["ztfm policy status"]} />
      </Part>
      <Part title="Releases">
        <div class="scrolls">
          <table class="releases">
            <caption class="unseen">Releases, newest first</caption>
            <thead>
              <tr>
                {["Release", "Layer", "Revision", "How it came", "When", "Published by", "Signed by", "Do"].map(
                  (name) => (
                    <th scope="col" key={name}>
                      {name}
                    </th>
                  ),
                )}
              </tr>
            </thead>
            <tbody>
              {loaded.value?.releases.map((release) => (
                <tr key={release.sequence}>
                  <th scope="row">
                    {release.sequence} {current.has(release.sequence) ? <Badge tone="good">current</Badge> : null}
                  </th>
                  <td>{release.layer}</td>
                  <td>
                    <Code text={release.revision} />
                  </td>
                  <td>{release.origin.replaceAll("_", " ")}</td>
                  <td>
                    <Moment seconds={release.published_at} />
                  </td>
                  <td>
                    <Code text={release.published_by} />
                  </td>
                  <td>
                    <Code text={release.key_id} />
                    {key?.id === release.key_id ? " (this browser's)" : ""}
                  </td>
                  <td class="line">
                    <Download release={release} />
                    {current.has(release.sequence) ? null : (
                      <button
                        type="button"
                        aria-label={`Roll back to release ${release.sequence}`}
                        onClick={() => setGoingBack(release)}
                      >
                        Roll back …
                      </button>
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
        <Shell
          commands={["ztfm policy status --recent 50", "ztfm policy rollback", "ztfm policy rollback --to REVISION"]}
        />
      </Part>
      <Part title="The key of this browser">
        <OwnKey subject={subject} trusted={undefined} />
      </Part>
      {goingBack === undefined ? null : (
        <GoBack release={goingBack} onDone={loaded.again} onClose={() => setGoingBack(undefined)} />
      )}
    </>
  );
}

function Deciding({ standing }: { standing: Standing }) {
  return (
    <>
      <p>
        Revision <code>{standing.revision || "none"}</code>,{" "}
        {standing.engine === "opa" ? "evaluated by an OPA" : "evaluated without OPA (engine embedded)"}.
      </p>
      {standing.layers.map((layer) => (
        <div key={layer.layer}>
          {layer.active_revision === (layer.release?.revision ?? "") ? null : (
            <p>
              {layer.layer}: <code>{layer.release?.revision ?? "nothing"}</code> is released, and{" "}
              <code>{layer.active_revision || "nothing"}</code> decides.
            </p>
          )}
          {layer.is_expected ? null : <p>{layer.layer} does not decide here (ZTFM_POLICY_LAYERS).</p>}
          {layer.refusal ? (
            <p>
              Last refused for {layer.layer} (<Moment seconds={layer.refusal.time} />
              ): <Badge tone="bad">{layer.refusal.reason.replaceAll("_", " ")}</Badge> {layer.refusal.detail}
            </p>
          ) : null}
        </div>
      ))}
    </>
  );
}

function Download({ release }: { release: Release }) {
  const work = useWork(async () => {
    const response = await ask("GET", `/v1/policies/releases/${release.sequence}/bundle`);
    save(await response.arrayBuffer(), `${release.layer}-${release.sequence}.tar.gz`, "application/gzip");
  });
  return (
    <>
      <button
        type="button"
        aria-label={`Download the bundle of release ${release.sequence}`}
        onClick={work.begin}
        disabled={work.isRunning}
      >
        Download
      </button>
      <Refused refusal={work.refusal} />
    </>
  );
}

function GoBack({ release, onDone, onClose }: { release: Release; onDone: () => void; onClose: () => void }) {
  const [again] = useState(() => crypto.randomUUID());
  const work = useWork(async () => {
    await call<Release>("POST", "/v1/policies/rollback", {
      body: { layer: release.layer, revision: release.revision },
      headers: { "Idempotency-Key": again },
    });
    onDone();
    onClose();
  });
  return (
    <Dialog title={`Roll back to release ${release.sequence}?`} onClose={onClose}>
      <p>
        Revision <code>{release.revision}</code> of {release.layer}, published by <Code text={release.published_by} />,{" "}
        <Moment seconds={release.published_at} />, is released again. Every control plane decides by it within two
        seconds.
      </p>
      <Refused refusal={work.refusal} />
      <div class="line">
        <button type="button" class="main" onClick={work.begin} disabled={work.isRunning}>
          {work.isRunning ? "Rolling back …" : "Roll back"}
        </button>
        <button type="button" onClick={onClose}>
          Leave it as it is
        </button>
      </div>
      <Shell commands={[`ztfm policy rollback --layer ${release.layer} --to ${release.revision}`]} />
    </Dialog>
  );
}
