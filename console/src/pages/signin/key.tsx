/** Sign-in with a key of this browser: enrolled once, with a secret that works once. */

import { useEffect, useState } from "preact/hooks";
import { Refusal } from "../../api/client";
import { canKeepKeys } from "../../api/keys";
import { signedIn } from "../../session";
import { Code, Part } from "../../ui/parts";
import { Enrolment } from "./enrolment";
import { forget, type OwnKey, ownKey, signInWith } from "./own";
import { WhyNot } from "./whynot";

/** `isFirst`: nobody is an administrator yet. */
export function ByKey({ isFirst }: { isFirst: boolean }) {
  const [key, setKey] = useState<OwnKey | null | undefined>(undefined);
  const [isNew, setNew] = useState(false);
  const [unreadable, setUnreadable] = useState(false);
  useEffect(() => {
    if (!canKeepKeys()) return;
    ownKey().then(
      (found) => setKey(found ?? null),
      () => setUnreadable(true),
    );
  }, []);
  const begin = (made: OwnKey) => {
    setNew(true);
    setKey(made);
  };
  return (
    <Part title="With this browser's key">
      {!canKeepKeys() || unreadable ? <NoKeys /> : null}
      {key === undefined ? null : key === null ? (
        <Enrolment isFirst={isFirst} onEnrolled={begin} />
      ) : (
        <Enrolled own={key} atOnce={isNew} onForgotten={() => setKey(null)} />
      )}
    </Part>
  );
}

function NoKeys() {
  return (
    <p>
      This browser keeps no keys here: it does so over HTTPS, or for a control plane on this machine, and not in every
      private window.
    </p>
  );
}

interface EnrolledKey {
  readonly own: OwnKey;
  readonly atOnce: boolean;
  readonly onForgotten: () => void;
}

/** `atOnce`: whoever just had the key enrolled wants in. */
function Enrolled({ own, atOnce, onForgotten }: EnrolledKey) {
  const [isWaiting, setWaiting] = useState(false);
  const [refusal, setRefusal] = useState<Refusal | undefined>(undefined);
  const go = () => {
    setWaiting(true);
    setRefusal(undefined);
    signInWith(own).then(signedIn, (error: unknown) => {
      setWaiting(false);
      setRefusal(error instanceof Refusal ? error : new Refusal(0, "The key cannot be used", String(error), {}));
    });
  };
  useEffect(() => {
    if (atOnce) go();
  }, []);
  return (
    <>
      <p>
        This browser is enrolled as <Code text={own.id} />, {own.roles.join(", ")}. Its key cannot be read out of it.
      </p>
      <WhyNot
        refusal={refusal}
        unknown="This control plane does not know the key (any more), or it was revoked. Forget this browser, and enrol it anew."
      />
      <div class="signin-does">
        <button type="button" class="main" disabled={isWaiting} onClick={go}>
          {isWaiting ? "Signing in …" : "Sign in"}
        </button>
        <button type="button" disabled={isWaiting} onClick={() => forget().then(onForgotten)}>
          Forget this browser
        </button>
      </div>
      <details>
        <summary>What forgetting does</summary>
        <p>
          The key is deleted here. The device stays enrolled until it is revoked:{" "}
          <code>ztfm devices revoke {own.id}</code>
        </p>
      </details>
    </>
  );
}
