"""A cell with nobody on guard: federated averaging of whatever comes."""

import time

from evaluation.federation.cohort import Cohort
from evaluation.federation.devices import Bench, Worth
from evaluation.federation.plain import averaged
from evaluation.trust.fields import Field
from evaluation.trust.results import Cell, Unguarded


def run_unguarded(field: Field, cell: Cell, revision: str) -> Unguarded:
    """Train the federation of a cell for all rounds, and judge the final model."""
    began = time.monotonic()
    worth = trained(field, *field.benched(cell.scenario))
    return Unguarded(
        cell=cell,
        revision=revision,
        seconds=round(time.monotonic() - began, 1),
        accuracy=worth.accuracy,
        attack_success=worth.attack_success,
    )


def trained(field: Field, bench: Bench, cohort: Cohort) -> Worth:
    """What the final model of a federation is worth."""
    state = bench.initial()
    examples = [len(shard) for shard in field.task.shards]
    for turn in range(1, field.plan.rounds + 1):
        sent = cohort.updates(state, turn, range(field.task.devices))
        state = averaged(state, list(sent.values()), examples, field.plan.server_rate)
    return bench.worth(state)
