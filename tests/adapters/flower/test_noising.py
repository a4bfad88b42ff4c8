"""Flower nodes add the noise that they owe."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from flwr.app import Message

from adapters.flower.records import only_arrays
from adapters.guard import Guard, Member
from controlplane.contracts.privacy import Account
from tests.adapters.flower.nodes import SIZE, federated, honest, start_state
from tests.controlplane.api.noising import DATA_SET, noising
from tests.support import ControlPlane, running

pytest.importorskip("dp_accounting.pld", reason="dp-accounting 0.6: pip install 'ztfm[privacy]'")

SPREAD = 0.02
"""Standard deviation of the noise: it is seen, and screening sees through it."""


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    little: dict[str, Any] = {"clip_norm": 10.0, "noise_multiplier": SPREAD / 10.0}
    with running(policies=noising(tmp_path_factory.mktemp("local"), epsilon=1e6, **little)) as found:
        yield found


def test_a_node_noises_its_reply_before_it_is_signed(plane: ControlPlane, guard: Guard, tmp_path: Path) -> None:
    federation, replies = federated(plane, guard, tmp_path), []

    def overheard(reply: Message) -> Message:
        replies.extend([reply] if reply.content.array_records else [])
        return reply

    federation.tamper = dict.fromkeys(range(SIZE), overheard)
    result = federation.run().arrays.to_torch_state_dict()
    assert [report.accepted for report in federation.reports] == [SIZE]
    assert len(replies) == SIZE
    for reply in replies:
        # What else an app says was made from its data without noise.
        told = {name: dict(record) for name, record in reply.content.metric_records.items()}
        assert told == {"metrics": {"num-examples": 1}}
        arrays = only_arrays(reply.content)
        assert arrays is not None
        assert int(arrays["steps"].numpy()) == 7
    states = [honest(number, start_state()) for number in range(SIZE)]
    off = torch.cat(
        [
            (result[name] - torch.stack([state[name] for state in states]).mean(dim=0)).flatten()
            for name in ("weight", "bias")
        ]
    )
    assert abs(float(off.mean())) < 5 * SPREAD / (SIZE * off.numel()) ** 0.5
    assert 0.3 * SPREAD / SIZE**0.5 < float(off.std()) < 3 * SPREAD / SIZE**0.5
    with Member.open(tmp_path / "member-0") as member:
        spent = plane.run(plane.store.privacy.spent(Account("devices", member.id, DATA_SET)))
    assert spent.charges == 1
