"""An adapter that has everything ruled on, and then aggregates everything."""

from contextlib import ExitStack

import torch
from torch import Tensor

from adapters.conformance import Ended, Job, Scripted, report_of
from adapters.pytorch import GuardedRound


def federation(job: Job) -> Ended:
    state = job.initial
    with ExitStack() as stack:
        guard = stack.enter_context(job.guard())
        members = [stack.enter_context(Scripted.open(folder)) for folder in job.clients]
        for _ in range(job.rounds):
            updates: list[dict[str, Tensor]] = []
            with GuardedRound(guard, state, members) as guarded:
                for member in guarded.allowed():
                    assert isinstance(member, Scripted)
                    trained = member.train(guarded.state)
                    updates.append({name: value for name, value in trained.update.items() if isinstance(value, Tensor)})
                    guarded.submit(member, trained.update, trained.examples)
                guarded.aggregate()
            state = {name: state[name] + torch.stack([one[name] for one in updates]).mean(dim=0) for name in state}
        return Ended(state, job.rounds, report_of(guard))
