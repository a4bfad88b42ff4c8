"""A Flower federation with homes that have a policy of their own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flwr.app import ArrayRecord, Message, RecordDict
from flwr.serverapp.strategy import FedAvg
from flwr.supercore.task_identity import TaskIdentity

from adapters.flower.records import carried, with_ours
from adapters.guard import Guard, Member
from tests.adapters.flower.nodes import SIZE, Federation, federated, start_state
from tests.adapters.site.houses import MODEL, built, furnish, house_of, signed
from tests.support import ControlPlane


@pytest.fixture(autouse=True)
def identity(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_task_id", "_run_id", "_node_id"):
        monkeypatch.setattr(TaskIdentity, name, 1)


@pytest.fixture
def federation(
    plane: ControlPlane, enrolled: Callable[..., Member], policy: bytes, tmp_path: Path
) -> Iterator[Federation]:
    """Six homes, the first two of them with a policy."""
    guard = Guard(enrolled(role="aggregator").plane, audience="aggregator-1", model=MODEL, patience_seconds=0.5)
    found = federated(plane, guard, tmp_path / "homes")
    for number in range(2):
        furnish(tmp_path / "homes" / f"member-{number}", policy)
    yield found


def test_a_home_sends_what_its_policy_lets_out_and_nothing_else(federation: Federation) -> None:
    federation.metrics[0] = {"num-examples": 20, "loss": 0.5, "epsilon": 1.0}
    sent: list[Message] = []

    def look(reply: Message) -> Message:
        sent.append(reply)
        return reply

    federation.tamper[1] = look
    federation.run()
    (report,) = federation.reports
    assert report.accepted == SIZE - 1
    assert [(drop.point, drop.cause) for drop in report.drops] == [("gate", "declined")]
    assert not any(reply.content.array_records for reply in sent), "an update that is vetoed does not leave the home"
    assert carried(sent[-1].content)["declined"] == "vetoed"


def test_an_update_is_scaled_back_to_what_the_home_lets_out(
    federation: Federation, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (federation.folder / "member-0" / "site" / "policy.tar.gz").write_bytes(
        signed(built(tmp_path_factory.mktemp("house"), house_of(norm_maximum=1)))
    )
    federation.metrics.update({number: {"num-examples": 20, "loss": 0.5, "epsilon": 1.0} for number in range(2)})
    federation.run()
    (report,) = federation.reports
    assert report.accepted == SIZE
    with Member.open(federation.folder / "member-0") as member:
        assert member.site is not None
        (line,) = [line for line in member.site.chain.read() if line.decision.action == "update_out"]
    assert 0.99 < line.facts["context"]["update"]["norm"] <= 1.0


def test_a_home_evaluates_what_it_let_in(federation: Federation) -> None:
    federation.metrics.update({number: {"num-examples": 20, "loss": 0.5, "epsilon": 1.0} for number in range(SIZE)})
    federation.run(FedAvg(fraction_evaluate=1.0))
    trained = [message for message in federation.grid.sent if message.content.array_records]
    assert len(trained) == 2 * SIZE
    with Member.open(federation.folder / "member-0") as member:
        assert member.site is not None
        decided = [(line.decision.action, line.decision.outcome) for line in member.site.chain.read()]
    assert decided == [("model_in", "allow"), ("update_out", "allow"), ("model_in", "allow")]


@pytest.mark.parametrize("stage", ["train", "evaluate"])
def test_weights_that_a_server_sends_unasked_are_not_used(federation: Federation, stage: str) -> None:
    federation.trains[0] = lambda *_: pytest.fail("the home trains on what it did not let in")
    federation.run(rounds=0)
    content = RecordDict({"arrays": ArrayRecord(start_state())})
    weights = {"stage": stage, "model_digest": _digest(), "round_id": "r", "model": MODEL, "audience": "aggregator-1"}
    message = Message(with_ours(content, weights), 1, stage)
    (reply,) = federation.grid.send_and_receive([message])
    assert reply.has_content()
    assert carried(reply.content)["declined"] == "vetoed"


def _digest() -> str:
    from adapters.guard.rounds import Weights

    return Weights.of(start_state()).digest
