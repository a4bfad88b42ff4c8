"""Guard a plain PyTorch loop.

With a control plane running (`ztfm serve`):

    ztfm tokens issue --role trainer --segment homes --count 5 > trainers.txt
    ztfm tokens issue --role aggregator --segment core > aggregator.txt
    python -m examples.pytorch_loop --url http://127.0.0.1:8181 --trainers trainers.txt --aggregator aggregator.txt
"""

import argparse
from contextlib import ExitStack
from pathlib import Path

import torch
from torch import Tensor, nn

from adapters.guard import Guard, Member
from adapters.pytorch import GuardedRound
from examples.flower_app import task


def local_update(number: int, state: dict[str, Tensor]) -> tuple[dict[str, Tensor], int]:
    """Return what a device's training changes, and on how many examples. Replace this with your own training."""
    model = task.new_model()
    model.load_state_dict(state)
    points, labels = task.shard(number)
    task.train(model, points, labels)
    return {name: value - state[name] for name, value in model.state_dict().items()}, len(labels)


def guarded_loop(guard: Guard, members: list[Member], model: nn.Module, rounds: int) -> None:
    """Train ``model`` in place; whoever is refused is left out of the round."""
    for number in range(1, rounds + 1):
        with GuardedRound(guard, model.state_dict(), members) as guarded:
            for member in guarded.allowed():
                update, examples = local_update(members.index(member), guarded.state)
                guarded.submit(member, update, examples)
            model.load_state_dict(guarded.aggregate())
        report = guard.latest()
        print(f"round {number}: {report.accepted if report else 0} of {len(members)} updates accepted")


def main() -> None:
    """Enrol whoever has a token, then train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="the control plane's public URL")
    parser.add_argument("--trainers", type=Path, required=True, help="file with one enrolment token a line")
    parser.add_argument("--aggregator", type=Path, required=True, help="file with the aggregator's token")
    parser.add_argument("--folder", type=Path, default=Path("federation"), help="where keys are kept")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    aggregator = given.folder / "aggregator"
    token = given.aggregator.read_text().strip()
    Member.enrol(aggregator, given.url, token, roles=["aggregator"], segment="core").close()
    torch.manual_seed(0)
    model = task.new_model()
    with ExitStack() as stack:
        members = [
            stack.enter_context(Member.enrol(given.folder / f"member-{number}", given.url, token))
            for number, token in enumerate(given.trainers.read_text().split())
        ]
        guard = stack.enter_context(Guard.open(aggregator, audience="aggregator-1", model="smart-home-intents"))
        guarded_loop(guard, members, model, given.rounds)
    points, labels = task.shard(number=-1, examples=1000)
    print(f"accuracy on points that nobody trained on: {task.accuracy(model, points, labels):.3f}")


if __name__ == "__main__":
    main()
