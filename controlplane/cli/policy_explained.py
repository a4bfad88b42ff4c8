"""How ``ztfm policy explain`` shows what it found."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from rich.console import Console

from controlplane.history.explain import Explanation, Requirement
from controlplane.history.nearest import Change, Nearest


def explained(found: Explanation) -> dict[str, Any]:
    """Return an explanation as one JSON object."""
    document = found.recorded.document
    return {
        "decision": {name: value for name, value in document.items() if name not in {"facts", "rules", "reasons"}},
        "policies_revision": found.revision,
        "policies_are_those_that_decided": found.is_same,
        "requirements": [asdict(requirement) for requirement in found.requirements],
        "now": {"outcome": found.now.outcome, "missing": [reason.code for reason in found.now.reasons]},
        "nearest": None if found.nearest is None else asdict(found.nearest),
    }


def show(found: Explanation, console: Console) -> None:
    """Print an explanation for people."""
    for line in _lines(found):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _lines(found: Explanation) -> list[str]:
    document = found.recorded.document
    when = datetime.fromtimestamp(document["time"], UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    lines = [
        f"{document['id']}: {document['outcome']}, {when}",
        f"{document['subject']} asked for {document['action']} on {document['resource']}",
        f"decided by revision {document['policy_revision'] or '(none: policy could not be asked)'}",
    ]
    if not found.is_same:
        lines.append(f"! the policies looked at are revision {found.revision}: locations are theirs, and what is now")
    for requirement in found.requirements:
        lines += _requirement(requirement)
    lines.append(f"now: {found.now.outcome}" + "".join(f", {reason.code} missing" for reason in found.now.reasons))
    if found.nearest is not None:
        lines += _nearest(found.nearest)
    return lines


def _requirement(requirement: Requirement) -> list[str]:
    if requirement.held:
        return [f"  held     {requirement.code}"]
    if requirement.waived:
        return [f"  waived   {requirement.code} (by an exception)"]
    lines = [f"  MISSING  {requirement.code}: {requirement.message}", f"           remedy: {requirement.remedy}"]
    lines += [f"           rule: {place}" for place in requirement.locations or ("in none of these policies",)]
    lines += [f"           {path} = {_shown(value)}" for path, value in requirement.values.items()]
    return lines


def _nearest(nearest: Nearest) -> list[str]:
    if not nearest.alternatives:
        why = "" if nearest.is_complete else ", and not all were tried"
        return [f"no small change of facts was found that would be allowed ({nearest.asked:,} tried{why})"]
    lines = [f"it would be allowed with ({nearest.asked:,} tried, the smallest first):"]
    for number, changes in enumerate(nearest.alternatives, 1):
        lines += [f"  {number}. " + "; ".join(map(_change, changes))]
    return lines


def _change(change: Change) -> str:
    return f"{change.path} = {_shown(change.becomes)} instead of {_shown(change.was)}"


def _shown(value: object) -> str:
    return "nothing" if value is None else json.dumps(value)
