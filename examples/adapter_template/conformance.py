"""The template in the conformance kit: ``ztfm adapter check examples.adapter_template.conformance``."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from adapters.conformance import Ended, Job, Scripted, report_of
from examples.adapter_template.adapter import GuardedClient, guarded_rounds
from examples.adapter_template.backend import Server


def client(folder: Path) -> GuardedClient:
    """Make what a client does; called in its process. `Scripted` stands where a real device has `Member`."""
    member = Scripted.open(folder)

    def train(state: Mapping[str, Tensor]) -> tuple[Mapping[str, object], int]:
        trained = member.train(state)
        return trained.update, trained.examples

    return GuardedClient(member, train)


def federation(job: Job) -> Ended:
    """Run a job: client processes, the guard beside the server, and what became of it."""
    with Server(client, job.clients) as server, job.guard() as guard:
        state = guarded_rounds(
            server,
            guard,
            job.initial,
            job.rounds,
            training_seconds=job.pace.training_seconds,
            open_seconds=job.pace.round_seconds,
        )
        return Ended(state, job.rounds, report_of(guard))
