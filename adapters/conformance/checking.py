"""What must hold after a job: claims, each of which is true or a sentence that says what is not."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.conformance import training
from adapters.conformance.cases import Case
from adapters.conformance.job import Ended, Job
from adapters.conformance.script import trainings

HONEST = 5
"""Clients that are honest in every case; one more is what the case is about."""

Round = Mapping[str, Any]
"""Of the guard's report, as `report_of` has it."""

_LEAST_PROGRESS = 0.3
_EARLY = frozenset({"identify", "admit", "pull"})


@dataclass(frozen=True)
class Cast:
    """Who took part in a case.

    Attributes:
        sixth: name of the client that the case is about.
        folder: of that client.
    """

    sixth: str
    folder: Path


Ways = Sequence[Sequence[Sequence[training.Entry]]]
"""Each way that a job may rightly go: for each of its rounds, whose updates enter."""


def faults(case: Case, job: Job, ended: Ended, cast: Cast, denials: Callable[[], int]) -> list[str]:
    """Return what does not hold; nothing when the backend keeps the case.

    Args:
        case: the case.
        job: that was run.
        ended: how it ended.
        cast: who took part.
        denials: returns how many recorded decisions denied the sixth client something.
    """
    if ended.rounds != job.rounds:
        return [f"{ended.rounds} of {job.rounds} rounds ran: no client may stop a job"]
    if case.enters == "later":
        found = _came_back(ended)
    else:
        ways = _ways(case, job.rounds)
        found = [*_served(ways, ended), *_model(ways, ended, {HONEST: case.share})]
    if not case.is_served and trainings(cast.folder):
        found.append("it was given the weights, which it must not have")
    if case.causes:
        found += _left_out(case, ended, cast)
    if case.is_decided and not denials():
        found.append("the control plane has no decision on record that denied it anything")
    return found


def _ways(case: Case, rounds: int) -> Ways:
    """Return each right way; an entry is a client's number and how often it trained before."""
    honest = [[(number, turn) for number in range(HONEST)] for turn in range(rounds)]
    if case.enters == "at-most-once":
        return [honest, [entries[1:] for entries in honest]]
    last = {"never": 0, "first": 1}.get(case.enters, rounds)
    return [[[*entries, *([(HONEST, turn)] if turn < last else [])] for turn, entries in enumerate(honest)]]


def _served(ways: Ways, ended: Ended) -> list[str]:
    """In each round as many updates were accepted as should be."""
    rounds: Sequence[Round] = ended.report["rounds"]
    if len(rounds) != len(ways[0]):
        return [f"the guard's report knows {len(rounds)} rounds that were gated, not {len(ways[0])}"]
    found = []
    for place, one in enumerate(rounds):
        right = {len(way[place]) for way in ways}
        if one["accepted"] not in right:
            found.append(f"{one['accepted']} updates were accepted in {one['round_id']}, not {_either(right)}")
            found += _dropped(one)
    return found


def _model(ways: Ways, ended: Ended, shares: Mapping[int, float]) -> list[str]:
    """The model is what the right updates make of it, and no other."""
    beside = min(training.distance(ended.state, training.after(way, shares)) for way in ways)
    if beside <= training.TOLERANCE:
        return []
    return [f"the model is not the mean of the updates that belong in it: {beside:.3f} of the way beside it"]


def _came_back(ended: Ended) -> list[str]:
    """After an outage everybody was served in the last round, and the model moved by such updates alone."""
    gone, rounds = training.progress(ended.state), ended.report["rounds"]
    found = [] if _LEAST_PROGRESS <= gone <= 1.0 else [f"the model went {gone:.2f} of the way to the target"]
    if not rounds or rounds[-1]["accepted"] != HONEST + 1:
        found.append("not everybody was served in the last round, when what had failed was back")
        found += _dropped(rounds[-1]) if rounds else []
    return found


def _dropped(one: Round) -> list[str]:
    return [
        f"  {drop['subject'] or 'somebody'} was dropped at {drop['point']}: {drop['cause']}" for drop in one["drops"]
    ]


def _left_out(case: Case, ended: Ended, cast: Cast) -> list[str]:
    """The guard's report says why the sixth client was left out."""
    rounds: Sequence[Round] = ended.report["rounds"]
    dropped = {drop["cause"] for one in rounds for drop in one["drops"] if drop["subject"] == cast.sixth}
    verdicts = [one["verdicts"][cast.sixth] for one in rounds if cast.sixth in one["verdicts"]]
    reasons = {reason for verdict in verdicts for reason in verdict["reasons"]} if dropped else set()
    # Whose name is not proven has none in the report.
    early = {cause for point, cause, _ in ended.report["drops"] if point in _EARLY}
    if case.causes & (dropped | reasons | early):
        return []
    shown = ", ".join(sorted(dropped | reasons | early)) or "nothing"
    return [f"the report should say {_either(case.causes)} of it, and says {shown}"]


def _either(several: Iterable[object]) -> str:
    return " or ".join(sorted(map(str, several)))
