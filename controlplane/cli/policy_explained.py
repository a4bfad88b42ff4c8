"""How ``ztfm policy eval`` and ``explain`` show why something was decided as it was."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from controlplane.authoring.explaining import Explanation, Requirement
from controlplane.history.deciders import Deciders
from controlplane.history.documents import missing
from controlplane.history.explain import ExplainedRecord
from controlplane.history.layered import layers_of
from controlplane.history.nearest import Change, Nearest


def show(found: ExplainedRecord, policies: Deciders, console: Console) -> None:
    """Print an explanation of a recorded decision for people."""
    for line in _lines(found, policies):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def told(explanation: Explanation, root: Path | None) -> Iterator[str]:
    """Give the lines that say what was required, what is missing, and where its rules are.

    Args:
        explanation: the decision.
        root: of the policies, where people have them; none to name files within the policies alone.
    """
    if explanation.obligations:
        yield f"obligations: {json.dumps(explanation.obligations)}"
    held = [item for item in explanation.requirements if item.held]
    for item in (item for item in explanation.requirements if not item.held):
        yield from _not_held(item, root)
    width = max((len(item.code) for item in held), default=0)
    for item in held:
        yield f"  held     {item.code:{width}}  {_where(root, item.file, item.line)}"


def shown(path: Path) -> str:
    """Return a path as it is named from here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _lines(found: ExplainedRecord, policies: Deciders) -> Iterator[str]:
    document = found.recorded.document
    when = datetime.fromtimestamp(document["time"], UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    took = document.get("seconds")
    yield f"{document['id']}: {document['outcome']}, {when}" + ("" if took is None else f", in {took * 1000:.1f} ms")
    yield f"{document['subject']} asked for {document['action']} on {document['resource']}"
    yield f"decided by revision {document['policy_revision'] or '(none: policy could not be asked)'}"
    if not policies.is_same:
        yield f"! it is kept nowhere; the policies looked at are revision {policies.revision}, and places are theirs"
    elif policies.is_released:
        yield "its rules are read from its release; places are within the policies that were published"
    if found.recorded.masked:
        yield f"kept out of the log by policy: {', '.join(found.recorded.masked)}"
    layers = layers_of(found.recorded)
    if layers:
        yield f"! {' and '.join(layers)} decided too, and the base alone is asked what else it would decide"
    yield from told(found.explanation, None if policies.is_released else policies.folder.root)
    if found.again is None:
        yield f"! these policies read what was kept out ({', '.join(found.unsure)}): what they decide cannot be said"
    elif not policies.is_same:
        codes = "".join(f", {code} missing" for code in missing(found.again))
        yield f"{'the base would' if layers else 'they'} decide: {'allow' if found.again.allow else 'deny'}{codes}"
    if found.nearest is not None:
        yield from _nearest(found.nearest, "the base would allow it" if layers else "it would be allowed")


def _not_held(item: Requirement, root: Path | None) -> Iterator[str]:
    yield f"  {'waived ' if item.waived else 'MISSING'}  {item.code}  {_where(root, item.file, item.line)}"
    if item.message:
        yield f"           {item.message}\n           Remedy: {item.remedy}"
    for difference in item.differences:
        yield f"           {difference}"
    for condition in item.conditions:
        yield f"           not so: {condition.text}  ({_where(root, condition.file, condition.line)})"
        for name, value in condition.values.items():
            yield f"               {name} = {value if value == 'undefined' else json.dumps(value)}"


def _where(root: Path | None, file: str, line: int) -> str:
    if not file:
        return ""
    return f"{file if root is None else shown(root / file)}:{line}"


def _nearest(nearest: Nearest, claim: str) -> Iterator[str]:
    if not nearest.alternatives:
        why = "" if nearest.is_complete else ", and not all were tried"
        yield f"no small change of facts was found that would be allowed ({nearest.asked:,} tried{why})"
        return
    yield f"{claim} with ({nearest.asked:,} tried, the smallest first):"
    for number, changes in enumerate(nearest.alternatives, 1):
        yield f"  {number}. " + "; ".join(map(_change, changes))


def _change(change: Change) -> str:
    return f"{change.path} = {_valued(change.becomes)} instead of {_valued(change.was)}"


def _valued(value: object) -> str:
    return "nothing" if value is None else json.dumps(value)
