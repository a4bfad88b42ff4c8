/** What became of a sign-in at the provider that did not end in a session; the address says it. */

const TOLD: Readonly<Record<string, readonly [title: string, remedy: string]>> = {
  denied: [
    "Policy does not let you in",
    "The provider knows you, but none of your groups gives you a role that may use the console, or you come from a network that may not. Have yourself added to a group that data/people names, and sign in again.",
  ],
  stale: [
    "That sign-in is over",
    "It took longer than ten minutes, was begun in another browser, or was used before. Begin anew.",
  ],
  provider: [
    "The provider did not vouch for you",
    "You or the provider ended the sign-in, or its answer does not hold here. Begin anew; whoever runs the control plane finds the cause in its log.",
  ],
  unavailable: [
    "The sign-in could not be finished now",
    "The provider, the policy engine or the store cannot be asked. Begin anew in a moment.",
  ],
};

export function CameBack() {
  const query = new URLSearchParams(location.search);
  const told = TOLD[query.get("refused") ?? ""];
  if (told === undefined) return null;
  const decision = query.get("decision") ?? "";
  return (
    <div class="refused" role="alert">
      <strong>{told[0]}</strong>
      <p>{told[1]}</p>
      {/^dec-[0-9a-f]+$/.test(decision) ? (
        <p>
          Why exactly: <code>ztfm policy explain {decision}</code>
        </p>
      ) : null}
    </div>
  );
}
