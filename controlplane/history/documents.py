"""What is said of an explained decision and of a comparison, as JSON: by commands and by the API alike."""

from dataclasses import asdict
from typing import Any

from controlplane.authoring.explaining import Explanation
from controlplane.contracts.shadow import DISAGREEMENTS
from controlplane.history.changes import MAX_SUBJECTS, Comparison, Group
from controlplane.history.deciders import Deciders
from controlplane.history.explain import ExplainedRecord
from controlplane.history.layered import layers_of


def explained(found: ExplainedRecord, policies: Deciders) -> dict[str, Any]:
    """Return an explanation of a recorded decision as one JSON object."""
    document = found.recorded.document
    again = found.again
    return {
        "decision": {name: value for name, value in document.items() if name not in {"facts", "rules", "reasons"}},
        "policies_revision": policies.revision,
        "policies_are_those_that_decided": policies.is_same,
        "policies_from": "release" if policies.is_released else "folder",
        "layers_not_asked": layers_of(found.recorded),
        "requirements": [asdict(requirement) for requirement in found.explanation.requirements],
        "again": None if again is None else {"allow": again.allow, "missing": missing(again)},
        "masked_and_read": list(found.unsure),
        "nearest": None if found.nearest is None else asdict(found.nearest),
    }


def missing(explanation: Explanation) -> list[str]:
    """Return the codes of what was required, and neither held nor was waived."""
    return [item.code for item in explanation.requirements if not item.held and not item.waived]


def compared(comparison: Comparison, revision: str, seconds: float) -> dict[str, Any]:
    """Return what another policy changes as one JSON object.

    Args:
        comparison: with what was recorded.
        revision: of the other policy.
        seconds: that it took.
    """
    return {
        "candidate_revision": revision,
        "decided": comparison.decided,
        "not_decided": comparison.not_decided,
        "masked": comparison.masked,
        "failed": comparison.failed,
        "layers_held_to": dict(comparison.layers),
        "seconds": round(seconds, 3),
        "changed": comparison.is_changed,
        "changes": {change: comparison.changes[change] for change in DISAGREEMENTS},
        "outcomes": [
            {"was": was, "becomes": becomes, "count": count}
            for (was, becomes), count in sorted(comparison.outcomes.items())
        ],
        "subjects": {
            change: {"count": len(found), "most": [{"subject": name, "count": times} for name, times in most]}
            for change in DISAGREEMENTS
            for found in [comparison.subjects[change]]
            for most in [found.most_common(MAX_SUBJECTS)]
        },
        "groups": [
            {
                "change": group.change,
                "action": group.action,
                "reason": group.reason,
                "segment": group.segment,
                "count": group.count,
                "subjects": len(group.subjects),
                "samples": [asdict(sample) for sample in group.samples],
            }
            for group in in_order(comparison)
        ],
    }


def in_order(comparison: Comparison) -> list[Group]:
    """Return what changes alike, by how and then the most frequent first."""
    return sorted(comparison.groups.values(), key=lambda group: (DISAGREEMENTS.index(group.change), -group.count))
