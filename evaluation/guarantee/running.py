"""Federations one by one, in as many processes as are wanted."""

import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import TypeVar

import torch

from controlplane.contracts.behaviour import BehaviourTerms
from controlplane.sidecar.parent import die_with_parent
from evaluation.guarantee.calibration import Scored, scored
from evaluation.guarantee.fleet import Data
from evaluation.guarantee.results import Seen
from evaluation.guarantee.scenarios import Scenario
from evaluation.guarantee.stream import Federation, evidence
from evaluation.guarantee.watching import Watch

Job = TypeVar("Job")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Watching:
    """One federation of a scenario, to be judged by all its variants.

    Attributes:
        data: what is trained on.
        scenario: it belongs to.
        federation: with its seed.
        terms: as shipped.
        alpha: who has evidence of ``1 / alpha`` is quarantined.
    """

    data: Data
    scenario: Scenario
    federation: Federation
    terms: BehaviourTerms
    alpha: float


def watched(job: Watching) -> list[Seen]:
    """Run a federation once and judge it by each variant of the terms."""
    federation, scenario = job.federation, job.scenario
    hostile = federation.names[len(federation.honest) :]
    tolerated = frozenset(hostile if scenario.are_hostile_tolerated else ())
    watches = {name: Watch(make(job.terms), job.alpha, tolerated) for name, make in scenario.variants.items()}
    for cohort in evidence(job.data, federation):
        for watch in watches.values():
            watch.judge(cohort)
    return [
        Seen(
            scenario.name,
            name,
            federation.honest,
            federation.shifted,
            hostile,
            watch.quarantined,
            dict(watch.exceeded),
        )
        for name, watch in watches.items()
    ]


def calibrating(job: tuple[Data, Federation]) -> list[Scored]:
    """The scores of one honest federation."""
    return scored(evidence(*job))


def each(work: Callable[[Job], Result], jobs: Sequence[Job], processes: int) -> Iterator[Result]:
    """Yield ``work(job)`` of each job, in order; says on standard error how far it is."""
    for done, result in enumerate(_mapped(work, jobs, processes), 1):
        print(f"\r{done} of {len(jobs)} federations", end="" if done < len(jobs) else "\n", file=sys.stderr, flush=True)
        yield result


def _mapped(work: Callable[[Job], Result], jobs: Iterable[Job], processes: int) -> Iterator[Result]:
    if processes == 1:
        torch.set_num_threads(1)
        yield from map(work, jobs)
        return
    with ProcessPoolExecutor(processes, get_context("spawn"), _begin) as pool:
        yield from pool.map(work, jobs)


def _begin() -> None:
    # A run that is killed leaves nobody who goes on.
    die_with_parent(signal.SIGTERM)
    torch.set_num_threads(1)
