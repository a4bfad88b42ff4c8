"""An adapter that lets everybody train, and only then asks who may."""

from contextlib import ExitStack

from adapters.conformance import Ended, Job, Scripted, report_of
from adapters.pytorch import GuardedRound


def federation(job: Job) -> Ended:
    state = job.initial
    with ExitStack() as stack:
        guard = stack.enter_context(job.guard())
        members = [stack.enter_context(Scripted.open(folder)) for folder in job.clients]
        for _ in range(job.rounds):
            trained = {member.id: member.train(state) for member in members}
            with GuardedRound(guard, state, members) as guarded:
                for member in guarded.allowed():
                    guarded.submit(member, trained[member.id].update, trained[member.id].examples)
                state = guarded.aggregate()
        return Ended(state, job.rounds, report_of(guard))
