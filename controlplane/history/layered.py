"""What a tenant's and a site's policies had said of a recorded decision, which the base alone decides once more.

A layer sees the facts, and not what the base makes of them: on the same facts the same policies of it say the same.
"""

from controlplane.contracts.access import AccessReason
from controlplane.contracts.decision import Decision
from controlplane.contracts.policies import PolicyLayer
from controlplane.history.records import Recorded
from controlplane.releases.revisions import split

_WORSE = ("watched", "quarantined")


def layers_of(recorded: Recorded) -> list[PolicyLayer]:
    """Return the layers below the base that decided with it."""
    return [layer for layer in split(str(recorded.document.get("policy_revision", ""))) if layer != "base"]


def held_to(recorded: Recorded, becomes: Decision) -> Decision:
    """Return what the base decides now, held to what the layers had said.

    What a layer refused stays refused. Of what it may have narrowed, lifetime, watching and standing, it is not known
    how much of it was the layer's: none of it gets wider than it was.
    """
    layers = layers_of(recorded)
    if not layers or becomes.outcome == "error":
        return becomes
    said = [reason for reason in recorded.document["reasons"] if reason["code"].partition(":")[0] in layers]
    if said:
        # Differences and times are told of what is there, and nothing compares them.
        reasons = [
            AccessReason.model_validate({name: one[name] for name in ("code", "message", "remedy")}) for one in said
        ]
        return becomes.model_copy(
            update={"outcome": "deny", "reasons": [*becomes.reasons, *reasons], "ttl_seconds": 0.0}
        )
    if not becomes.allowed or recorded.document["outcome"] != "allow":
        return becomes
    was, now = recorded.document["obligations"], becomes.obligations
    states = [state for state in (was.get("state"), now.state) if state in _WORSE]
    narrowed = now.model_copy(
        update={
            "watch": now.watch or was.get("watch") is True,
            "state": max(states, key=_WORSE.index) if now.state and states else now.state,
        }
    )
    lifetime = min(becomes.ttl_seconds, recorded.document["ttl_seconds"])
    return becomes.model_copy(update={"obligations": narrowed, "ttl_seconds": lifetime})
