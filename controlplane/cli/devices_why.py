"""How ``ztfm devices why`` shows a device's behaviour: where it stands, and one sentence for each verdict on it."""

import time
from collections.abc import Iterator

from rich.console import Console

from controlplane.contracts.behaviour import Verdict
from controlplane.contracts.standing import DeviceBehaviour

_MEANING = {
    "trusted": "full trust, and little speaks against it",
    "watched": "it takes part; its answers and capabilities are shorter",
    "quarantined": "policy set it apart: it is granted nothing",
    "recovering": "on probation: it takes part, and nothing of it enters the model",
}


def show(found: DeviceBehaviour, console: Console) -> None:
    """Print it for people."""
    for line in lines(found):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def lines(found: DeviceBehaviour) -> Iterator[str]:
    """Give the lines of it: one about where it stands, a few with figures, and two for each verdict."""
    yield f"{found.subject} is {_stands(found)}"
    yield f"  evidence against it  {found.e_value:.3g}{_by_channel(found)}; 1 says nothing either way"
    counts = f"{found.conforming:.1f} like its peers', {found.deviating:.1f} unlike, older ones counting less"
    yield f"  trust                {found.trust.score:.3f} after {found.trust.observations} observations: {counts}"
    if found.observed_at is not None:
        yield f"  last observed        {when(found.observed_at)}"
    if not found.verdicts:
        yield "nothing about it was remarkable"
    for verdict in found.verdicts:
        yield from _verdict(verdict)


def when(time_: float) -> str:
    """Return a moment (Unix seconds) as people read it."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(time_))


def _stands(found: DeviceBehaviour) -> str:
    if found.status == "revoked":
        return "revoked: shut out for good"
    if found.held:
        return f"set apart by a person: only a person lets it back (`ztfm devices release {found.subject}`)"
    since = "" if found.since is None else f" since {when(found.since)}"
    return f"{found.state}{since}: {_MEANING[found.state]}"


def _by_channel(found: DeviceBehaviour) -> str:
    if not found.e_values:
        return ""
    return " (" + ", ".join(f"{name} {value:.3g}" for name, value in sorted(found.e_values.items())) + ")"


def _verdict(verdict: Verdict) -> Iterator[str]:
    where = verdict.channel if verdict.round_id is None else f"{verdict.channel}, round {verdict.round_id}"
    stands = verdict.state if verdict.state == verdict.was else f"{verdict.was} -> {verdict.state}"
    rare = "" if verdict.p_value is None else f", p {verdict.p_value:.3g}"
    figures = f"{stands}{rare}, evidence {verdict.e_value:.3g}, decision {verdict.decision_id}"
    yield f"{when(verdict.time)}  {where}: {figures}"
    said = verdict.attribution
    if said is None:
        yield "    Nothing about it was remarkable."
        return
    catalogued = ", ".join(name for name in (said.atlas, said.owasp) if name is not None)
    named = f" ({catalogued})" if catalogued else ""
    yield f"    {said.sentence} Likely: {said.attack}, {said.confidence:.0%} sure{named}."
