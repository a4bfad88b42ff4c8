"""A plain PyTorch loop for the kit: ``ztfm adapter check adapters.conformance.backends.pytorch``."""

from collections.abc import Mapping
from contextlib import ExitStack

from torch import Tensor

from adapters.bounded import BoundedMembers
from adapters.conformance import Ended, Job, Scripted, report_of
from adapters.guard import Member
from adapters.pytorch import GuardedRound

SUMS = True
"""A `GuardedRound` makes secure sums, where policy asks for them."""

NOT_APPLICABLE = {"dying": "clients are threads of the loop's own process"}


def federation(job: Job) -> Ended:
    """Run a job whose clients all live in this process."""
    state: dict[str, Tensor] = job.initial
    rounds = 0
    with ExitStack() as stack:
        guard = stack.enter_context(job.guard())
        members = [stack.enter_context(Scripted.open(folder)) for folder in job.clients]
        bounded = BoundedMembers(guard, members)
        while rounds < job.rounds:
            with GuardedRound(guard, state, bounded.members, duration_seconds=job.pace.round_seconds) as guarded:
                bounded.collect(guarded, _train, seconds=job.pace.training_seconds)
                state = guarded.aggregate(job.reference(guarded.state))
            rounds += 1
        return Ended(state, rounds, report_of(guard))


def _train(member: Member, state: Mapping[str, Tensor]) -> tuple[Mapping[str, object], int]:
    assert isinstance(member, Scripted)  # noqa: S101 - the clients of a job are
    trained = member.train(state)
    return trained.update, trained.examples
