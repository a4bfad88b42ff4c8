/** Why a key did not get in, with what policy missed and what to do about it. */

import type { Refusal } from "../../api/client";
import { Refused } from "../../ui/parts";

interface Reason {
  readonly code: string;
  readonly message: string;
  readonly remedy?: string;
}

/** `unknown`: what to do where the control plane says no more than that it does not know who asks. */
export function WhyNot({ refusal, unknown }: { refusal: Refusal | undefined; unknown: string }) {
  if (refusal === undefined) return null;
  if (refusal.isSignedOut) {
    return (
      <div class="refused" role="alert">
        <strong>The key is not let in</strong>
        <p>{unknown}</p>
      </div>
    );
  }
  const reasons = Array.isArray(refusal.document.reasons) ? (refusal.document.reasons as Reason[]) : [];
  return (
    <>
      <Refused refusal={refusal} />
      {reasons.length === 0 ? null : (
        <ul class="signin-why">
          {reasons.map((reason) => (
            <li key={reason.code}>
              <code>{reason.code}</code> {reason.message} {reason.remedy}
            </li>
          ))}
        </ul>
      )}
    </>
  );
}
