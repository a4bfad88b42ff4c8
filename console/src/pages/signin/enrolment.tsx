/** This browser's key is made and enrolled: with the bootstrap secret, or with a token that an administrator issued. */

import { useState } from "preact/hooks";
import { Refusal } from "../../api/client";
import { enrol, type OwnKey } from "./own";
import { WhyNot } from "./whynot";

const ROLE = "administrator";
const SEGMENT = "core";

export function Enrolment({ isFirst, onEnrolled }: { isFirst: boolean; onEnrolled: (key: OwnKey) => void }) {
  const [token, setToken] = useState("");
  const [roles, setRoles] = useState(isFirst ? ROLE : "operator");
  const [segment, setSegment] = useState(SEGMENT);
  const [isWaiting, setWaiting] = useState(false);
  const [refusal, setRefusal] = useState<Refusal | undefined>(undefined);
  const asked = { token: token.trim(), roles: listed(roles), segment: segment.trim() };
  const isWhole = asked.token !== "" && asked.roles.length > 0 && asked.segment !== "";
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    if (!isWhole) return;
    setWaiting(true);
    setRefusal(undefined);
    try {
      onEnrolled(await enrol(asked));
    } catch (error) {
      setRefusal(error instanceof Refusal ? error : new Refusal(0, "This browser was not enrolled", String(error), {}));
      setWaiting(false);
    }
  };
  return (
    <form class="signin-form" onSubmit={submit} autocomplete="off">
      <Says isFirst={isFirst} />
      <WhyNot refusal={refusal} unknown="The clock of this computer may be wrong. Set it, and try again." />
      <label>
        {isFirst ? "Bootstrap secret" : "Enrolment token"}
        <input
          type="password"
          required
          autocomplete="off"
          spellcheck={false}
          value={token}
          onInput={(event) => setToken(event.currentTarget.value)}
        />
      </label>
      <label>
        Roles
        <input required spellcheck={false} value={roles} onInput={(event) => setRoles(event.currentTarget.value)} />
      </label>
      <label>
        Segment
        <input required spellcheck={false} value={segment} onInput={(event) => setSegment(event.currentTarget.value)} />
      </label>
      <button type="submit" class="main" disabled={isWaiting || !isWhole}>
        {isWaiting ? "Enrolling …" : "Enrol this browser and sign in"}
      </button>
    </form>
  );
}

function Says({ isFirst }: { isFirst: boolean }) {
  if (isFirst) {
    return (
      <p>
        There is no administrator yet. The secret for the first one lies in the control plane's state folder, works once
        and for a day: <code>cat state/bootstrap-secret</code>
      </p>
    );
  }
  return (
    <p>
      An administrator issues a token for the roles that this browser is to have:{" "}
      <code>ztfm tokens issue --role operator --segment core</code>
    </p>
  );
}

function listed(text: string): string[] {
  return text.split(/[\s,]+/).filter((part) => part !== "");
}
