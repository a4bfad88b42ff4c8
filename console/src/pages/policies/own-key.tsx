/** The key of this browser: made, shown, trusted by the operator, forgotten. */

import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { Code, Refused } from "../../ui/parts";
import { forgetSigningKey, makeSigningKey, type SigningKey, signingKey } from "./key";
import { Shell } from "./shell";
import { useWork } from "./work";

/** The key of whoever is signed in; `undefined` while it is looked for, `null` where there is none. */
export const ownKey = signal<SigningKey | null | undefined>(undefined);

/** Looks for the key of a person while a part is shown. */
export function useOwnKey(subject: string): SigningKey | null | undefined {
  useEffect(() => {
    ownKey.value = undefined;
    signingKey(subject).then(
      (found) => {
        ownKey.value = found ?? null;
      },
      () => {
        ownKey.value = null;
      },
    );
  }, [subject]);
  return ownKey.value;
}

/** @param trusted ids of the keys that are trusted; `undefined` where that is not known here. */
export function OwnKey({ subject, trusted }: { subject: string; trusted: readonly string[] | undefined }) {
  const key = ownKey.value;
  const making = useWork(async () => {
    ownKey.value = await makeSigningKey(subject);
  });
  if (key === undefined) return <p class="empty">Looking for the key of this browser …</p>;
  if (key === null) {
    return (
      <>
        <p>
          You have no key in this browser. One is made here and never leaves: not even this page can read its private
          part, and whoever can use this browser as you can sign with it.
        </p>
        <button type="button" onClick={making.begin} disabled={making.isRunning}>
          Make a key
        </button>
        <Refused refusal={making.refusal} />
      </>
    );
  }
  const isTrusted = trusted?.includes(key.id);
  return (
    <>
      <p>
        The key of this browser is <Code text={key.id} />
        {isTrusted === undefined ? "." : isTrusted ? ", and it is trusted." : ". It is not trusted yet."}
      </p>
      <details open={isTrusted === false}>
        <summary>How an operator trusts it</summary>
        <ol>
          <li>
            Check with its owner that the key is <code class="whole">{key.id}</code>.
          </li>
          <li>
            Put the public key below into <code>base/NAME.pem</code> of the folder that{" "}
            <code>ZTFM_POLICY_TRUST_DIR</code> names, at every control plane. Where that is not set yet, set it, and
            keep the machine's own key in the folder as well: policies that it signed would not be taken any more.
          </li>
          <li>Restart the control planes, one after the other. To take the trust back, take the file away.</li>
        </ol>
        <section aria-label="Public key of this browser">
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by keyboard */}
          <pre class="pem" tabIndex={0}>
            {key.pem}
          </pre>
        </section>
        <button type="button" onClick={() => navigator.clipboard?.writeText(key.pem)}>
          Copy the public key
        </button>{" "}
        <Forget subject={subject} />
        <Shell
          title="The folder, from a shell"
          commands={["ztfm policy key --out trust/base/this-machine.pem", "export ZTFM_POLICY_TRUST_DIR=$PWD/trust"]}
        />
      </details>
    </>
  );
}

function Forget({ subject }: { subject: string }) {
  const forgetting = useWork(async () => {
    await forgetSigningKey(subject);
    ownKey.value = null;
  });
  return (
    <button
      type="button"
      onClick={() => {
        if (confirm("Forget this key? What it signed stays signed; nothing can be signed with it again.")) {
          forgetting.begin();
        }
      }}
    >
      Forget this key
    </button>
  );
}
