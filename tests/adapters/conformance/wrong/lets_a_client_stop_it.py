"""An adapter that lets what a client raises end the job, and waits for whoever does not answer."""

from contextlib import ExitStack

from adapters.conformance import Ended, Job, Pace, Scripted, report_of
from adapters.pytorch import GuardedRound

PACE = Pace(job_seconds=6.0)
NOT_APPLICABLE = {"twin": "clients are told apart by their place in a list"}


def federation(job: Job) -> Ended:
    state = job.initial
    with ExitStack() as stack:
        guard = stack.enter_context(job.guard())
        members = [stack.enter_context(Scripted.open(folder)) for folder in job.clients]
        for _ in range(job.rounds):
            with GuardedRound(guard, state, members) as guarded:
                for member in guarded.allowed():
                    assert isinstance(member, Scripted)
                    trained = member.train(guarded.state)
                    guarded.submit(member, trained.update, trained.examples)
                state = guarded.aggregate()
        return Ended(state, job.rounds, report_of(guard))
