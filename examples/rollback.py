"""Undo what a device contributed: an operator learns that its sensor was broken all the time, and has it left out.

With a control plane running (`ztfm serve`):

    ztfm tokens issue --role trainer --segment homes --count 6 > trainers.txt
    ztfm tokens issue --role aggregator --segment core > aggregator.txt
    ztfm tokens issue --role operator --segment core > operator.txt
    python -m examples.rollback --url http://127.0.0.1:8181 --trainers trainers.txt --aggregator aggregator.txt \
        --operator operator.txt
"""

import argparse
from contextlib import ExitStack
from pathlib import Path

import torch
from torch import Tensor, nn

from adapters.guard import Guard, Member
from adapters.pytorch import GuardedRound
from adapters.rollback import verify
from examples.flower_app import task
from examples.pytorch_loop import local_update


def one_round(guard: Guard, members: list[Member], model: nn.Module) -> str:
    """Train ``model`` in place for a round and return the round's id."""
    with GuardedRound(guard, model.state_dict(), members) as guarded:
        for member in guarded.allowed():
            update, examples = local_update(members.index(member), guarded.state)
            guarded.submit(member, update, examples)
        model.load_state_dict(guarded.aggregate())
    report = guard.report.rounds[-1]
    print(f"{report.round_id}: {report.accepted} of {len(members)} updates accepted")
    for one in report.rollbacks:
        result = one.result
        print(f"rollback {result.state}: {result.rounds} rounds done again, {result.left_out} updates left out")
    return report.round_id


def distance(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """Return the Euclidean distance between two states."""
    return float(sum((one[name] - other[name]).square().sum() for name in one) ** 0.5)


def main() -> None:
    """Enrol everybody, train, and undo what the last device contributed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="the control plane's public URL")
    parser.add_argument("--trainers", type=Path, required=True, help="file with one enrolment token a line")
    parser.add_argument("--aggregator", type=Path, required=True, help="file with the aggregator's token")
    parser.add_argument("--operator", type=Path, required=True, help="file with the operator's token")
    parser.add_argument("--folder", type=Path, default=Path("federation"), help="where keys and the archive are kept")
    given = parser.parse_args()
    party, archive = given.folder / "aggregator", given.folder / "archive"

    def enrolled(name: str, token: str, role: str, segment: str) -> Member:
        return Member.enrol(given.folder / name, given.url, token, roles=[role], segment=segment)

    enrolled("aggregator", given.aggregator.read_text().strip(), "aggregator", "core").close()
    torch.manual_seed(0)
    model = task.new_model()
    with ExitStack() as stack:
        tokens = enumerate(given.trainers.read_text().split())
        members = [stack.enter_context(enrolled(f"member-{n}", token, "trainer", "homes")) for n, token in tokens]
        operator = stack.enter_context(enrolled("operator", given.operator.read_text().strip(), "operator", "core"))
        guard = stack.enter_context(
            Guard.open(party, audience="aggregator-1", model="smart-home-intents", archive=archive)
        )
        first, *_ = [one_round(guard, members, model) for _ in range(3)]
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        broken = members[-1].id
        operator.plane.order_rollback(first, [broken], "Its sensor was broken from the beginning.")
        # It is carried out after the next round, which the device takes part in once more: nobody set it apart.
        one_round(guard, members, model)
        print(f"the model moved by {distance(before, model.state_dict()):.3f}")
    print(f"the archive holds: {verify(archive).holds}")
    points, labels = task.shard(number=-1, examples=1000)
    print(f"accuracy on points that nobody trained on: {task.accuracy(model, points, labels):.3f}")


if __name__ == "__main__":
    main()
