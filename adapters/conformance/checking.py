"""What must hold after a job: claims, each of which is true or a sentence that says what is not."""

import itertools
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.conformance import training
from adapters.conformance.cases import HONEST, Case
from adapters.conformance.job import Ended, Job
from adapters.conformance.script import trainings

Round = Mapping[str, Any]
"""Of the guard's report, as `report_of` has it."""

_LEAST_PROGRESS = 0.3
_EARLY = frozenset({"identify", "admit", "pull"})


@dataclass(frozen=True)
class Cast:
    """Who took part in a case, beside the honest.

    Attributes:
        sixth: name of the client that the case is about.
        folder: of that client.
        number: of that client.
    """

    sixth: str
    folder: Path
    number: int = HONEST


@dataclass(frozen=True)
class Part:
    """A case's part in a job.

    Attributes:
        case: the case.
        cast: who took part.
        denials: returns how many recorded decisions denied the case's client something.
    """

    case: Case
    cast: Cast
    denials: Callable[[], int]


Ways = Sequence[Sequence[Sequence[training.Entry]]]
"""Each way that a job may rightly go: for each of its rounds, whose updates enter."""


def faults(parts: Sequence[Part], job: Job, ended: Ended) -> list[list[str]]:
    """Return for each case of a job what does not hold; nothing where the backend keeps it.

    Args:
        parts: of the job: one, or several of one company.
        job: that was run.
        ended: how it ended.
    """
    if ended.rounds != job.rounds:
        return [[f"{ended.rounds} of {job.rounds} rounds ran: no client may stop a job"] for _ in parts]
    common = _of_all(parts, job, ended)
    reported = _left_out(parts, ended)
    return [[*common, *_of_one(part), *said] for part, said in zip(parts, reported, strict=True)]


def not_refused(job: Job, problem: str, ended: Ended | None) -> list[str]:
    """Return what does not hold where a backend that makes no secure sums was to refuse a job that asks for them.

    Args:
        job: that was run.
        problem: what kept it from ending; empty when it ended.
        ended: how it ended; none when it did not.
    """
    found = []
    if any(trainings(client) for client in job.clients):
        found.append("clients were given the weights of a round whose updates this backend would have shown")
    if ended is None:
        # The guard's own words, whatever the backend puts around them.
        return found if "secure sums" in problem else [*found, f"the round was not refused as it should be: {problem}"]
    if any(one["submitted"] for one in ended.report["rounds"]):
        found.append("updates were taken in that should have been summed")
    if training.progress(ended.state) != 0.0:
        found.append("the model moved, and no secure sum was made")
    return found


def _of_all(parts: Sequence[Part], job: Job, ended: Ended) -> list[str]:
    if any(part.case.enters == "later" for part in parts):
        return _came_back(ended)
    ways = _ways(parts, job.rounds)
    others = {part.cast.sixth for part in parts if part.case.enters == "never"}
    return [
        *_served(ways, ended, others if len(parts) > 1 else ()),
        *_model(ways, ended, {part.cast.number: part.case.share for part in parts}),
    ]


def _of_one(part: Part) -> list[str]:
    found = []
    if not part.case.is_served and trainings(part.cast.folder):
        found.append("it was given the weights, which it must not have")
    if part.case.is_decided and not part.denials():
        found.append("the control plane has no decision on record that denied it anything")
    return found


def _ways(parts: Sequence[Part], rounds: int) -> Ways:
    """Return each right way; an entry is a client's number and how often it trained before."""
    honest = [[(number, turn) for number in range(min(part.cast.number for part in parts))] for turn in range(rounds)]
    if any(part.case.enters == "at-most-once" for part in parts):
        return _ways_of_twins(honest)
    last = {part.cast.number: {"never": 0, "first": 1}.get(part.case.enters, rounds) for part in parts}
    return [
        [
            [*entries, *((number, turn) for number, ends in last.items() if turn < ends)]
            for turn, entries in enumerate(honest)
        ]
    ]


def _ways_of_twins(honest: Sequence[Sequence[training.Entry]]) -> Ways:
    """In each round client 0 counts or does not, by whichever process came first: it may have trained less often."""
    each = [
        [list(entries[1:]), *([(0, trained), *entries[1:]] for trained in range(turn + 1))]
        for turn, entries in enumerate(honest)
    ]
    return [list(way) for way in itertools.product(*each)]


def _served(ways: Ways, ended: Ended, others: Collection[str]) -> list[str]:
    """In each round as many updates were accepted as should be; why ``others`` were not is told elsewhere."""
    rounds: Sequence[Round] = ended.report["rounds"]
    if len(rounds) != len(ways[0]):
        return [f"the guard's report knows {len(rounds)} rounds that were gated, not {len(ways[0])}"]
    found = []
    for place, one in enumerate(rounds):
        right = {len(way[place]) for way in ways}
        if one["accepted"] not in right:
            found.append(f"{one['accepted']} updates were accepted in {one['round_id']}, not {_either(right)}")
            found += _dropped(one, others)
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
        found += _dropped(rounds[-1], ()) if rounds else []
    return found


def _dropped(one: Round, others: Collection[str]) -> list[str]:
    return [
        f"  {drop['subject'] or 'somebody'} was dropped at {drop['point']}: {drop['cause']}"
        for drop in one["drops"]
        if drop["subject"] not in others
    ]


def _left_out(parts: Sequence[Part], ended: Ended) -> list[list[str]]:
    """The guard's report says why each client that a case is about was left out."""
    known = [_said_of(part.cast.sixth, ended) for part in parts]
    nameless = _nameless(ended, {part.cast.sixth for part in parts})
    wanting = [
        place
        for place, (part, said) in enumerate(zip(parts, known, strict=True))
        if part.case.causes and not part.case.causes & said
    ]
    # Whose name is not proven has none in the report: what is said of somebody without a name is said of one of them.
    told = _matched([parts[place].case.causes for place in wanting], nameless)
    found: list[list[str]] = [[] for _ in parts]
    for place, is_told in zip(wanting, told, strict=True):
        if not is_told:
            shown = ", ".join(sorted(known[place] | set(nameless))) or "nothing"
            found[place] = [f"the report should say {_either(parts[place].case.causes)} of it, and says {shown}"]
    return found


def _said_of(name: str, ended: Ended) -> frozenset[str]:
    """Return the causes that a report gives under a name, the codes of refused updates among them."""
    rounds: Sequence[Round] = ended.report["rounds"]
    dropped = {drop["cause"] for one in rounds for drop in one["drops"] if drop["subject"] == name}
    verdicts = [one["verdicts"][name] for one in rounds if name in one["verdicts"]]
    reasons = {reason for verdict in verdicts for reason in verdict["reasons"]} if dropped else set()
    return frozenset(dropped | reasons)


def _nameless(ended: Ended, names: Collection[str]) -> list[str]:
    """Return the causes from before weights are sent, as often as they are told, but for those told of these names."""
    counted: Counter[str] = Counter()
    for point, cause, count in ended.report["drops"]:
        if point in _EARLY:
            counted[cause] += count
    for one in ended.report["rounds"]:
        counted.subtract(drop["cause"] for drop in one["drops"] if drop["subject"] in names and drop["point"] in _EARLY)
    return sorted(counted.elements())


def _matched(wanted: Sequence[Collection[str]], told: Sequence[str]) -> list[bool]:
    """Return for each set of causes whether one of them is told of it, where nothing that is told counts twice."""
    taken: dict[int, int] = {}

    def finds(place: int, seen: set[int]) -> bool:
        for number, cause in enumerate(told):
            if cause not in wanted[place] or number in seen:
                continue
            seen.add(number)
            if number not in taken or finds(taken[number], seen):
                taken[number] = place
                return True
        return False

    for place in range(len(wanted)):
        finds(place, set())
    return [place in taken.values() for place in range(len(wanted))]


def _either(several: Iterable[object]) -> str:
    return " or ".join(sorted(map(str, several)))
