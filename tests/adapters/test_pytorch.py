"""The seam around a plain loop, with real members."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from adapters.aggregation import aggregate
from adapters.client import SyncControlPlane
from adapters.errors import Denied
from adapters.guard import Guard, Member, SealedRound
from adapters.pytorch import GuardedRound
from adapters.screening.streaming import TensorFile
from controlplane.jose.keys import DeviceKey
from tests.adapters.conftest import AUDIENCE, update_of
from tests.servers.ports import free_port
from tests.support import MODEL

Enrol = Callable[..., Member]
State = dict[str, Tensor]


@pytest.fixture
def members(enrol: Enrol) -> list[Member]:
    return [enrol("trainer") for _ in range(5)]


def run_round(guard: Guard, state: State, members: list[Member], updates: dict[int, dict[str, Tensor]]) -> State:
    with GuardedRound(guard, state, members) as guarded:
        for member in guarded.allowed():
            number = members.index(member)
            guarded.submit(member, updates.get(number) or update_of(state, number), 10)
        return guarded.aggregate()


def test_a_round_moves_the_state_by_the_mean_update(guard: Guard, members: list[Member], state: State) -> None:
    after = run_round(guard, state, members, {})
    mean = torch.stack([update_of(state, number)["weight"] for number in range(5)]).mean(dim=0)
    torch.testing.assert_close(after["weight"], state["weight"] + mean)
    assert after["steps"] is not state["steps"]
    assert int(after["steps"]) == 3


def test_a_state_that_is_altered_on_the_disk_is_given_to_nobody(
    guard: Guard, members: list[Member], state: State, tmp_path: Path
) -> None:
    path = tmp_path / "state.safetensors"
    save_file(state, path)
    kept = path.read_bytes()
    with GuardedRound(guard, TensorFile(path), members[:1]) as guarded:
        assert guarded.allowed() == members[:1]
        path.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
        assert guarded.allowed() == []
    assert guard.report.drops["pull", "altered"] == 1


def test_an_attacker_has_no_part_in_it(guard: Guard, members: list[Member], state: State) -> None:
    flipped = {name: -10 * tensor for name, tensor in update_of(state, 0).items()}
    after = run_round(guard, state, members, {0: flipped})
    mean = torch.stack([update_of(state, number)["weight"] for number in range(1, 5)]).mean(dim=0)
    torch.testing.assert_close(after["weight"], state["weight"] + mean)


def test_an_attacker_that_goes_on_is_set_apart(guard: Guard, members: list[Member], state: State) -> None:
    for number in range(6):
        updates = {place: update_of(state, 10 * number + place) for place in range(5)}
        updates[0] = {name: -10 * tensor for name, tensor in updates[0].items()}
        state = run_round(guard, state, members, updates)
        if guard.report.rounds[-1].quarantined:
            break
    assert guard.report.rounds[-1].quarantined == (members[0].id,)
    with GuardedRound(guard, state, members) as guarded:
        assert members[0] not in guarded.allowed()


def test_the_aggregation_that_policy_picked_is_followed(guard: Guard, members: list[Member], state: State) -> None:
    class Picking(Guard):
        """A guard whose rounds are opened by a policy that picks another aggregation."""

        def seal(self, *given: Any, **options: Any) -> SealedRound:
            return replace(super().seal(*given, **options), aggregation="geometric_median")

    guard.__class__ = Picking
    after = run_round(guard, state, members, {})
    updates = [update_of(state, number) for number in range(5)]
    torch.testing.assert_close(
        after["weight"], (state["weight"].double() + aggregate("geometric_median", updates, [1] * 5)["weight"]).float()
    )
    assert int(after["steps"]) == 3


def test_whoever_may_not_train_is_left_out(guard: Guard, members: list[Member], state: State, enrol: Enrol) -> None:
    consumer = enrol("consumer")
    with GuardedRound(guard, state, [*members, consumer]) as guarded:
        assert guarded.allowed() == members
    assert guard.report.drops["pull", "declined"] == 1


def test_credentials_of_another_member_give_nobody_the_weights(
    guard: Guard, members: list[Member], state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(members[0], "pull", members[1].pull)
    with GuardedRound(guard, state, members) as guarded:
        assert guarded.allowed() == members[1:]
    assert guard.report.drops[("pull", "wrong_subject")] == 1


def test_an_update_of_somebody_who_was_not_allowed_is_refused(
    guard: Guard, members: list[Member], state: State, enrol: Enrol
) -> None:
    stranger = enrol("trainer")
    with GuardedRound(guard, state, members) as guarded:
        guarded.submit(stranger, update_of(state, 9), 10)
        after = guarded.aggregate()
    torch.testing.assert_close(after["weight"], state["weight"])
    assert guard.report.drops["gate", "declined"] == 1


def test_an_update_of_another_form_stops_nothing(guard: Guard, members: list[Member], state: State) -> None:
    broken = {"weight": torch.zeros(2), "bias": None}
    after = run_round(guard, state, members, {0: broken})  # type: ignore[dict-item]
    mean = torch.stack([update_of(state, number)["weight"] for number in range(1, 5)]).mean(dim=0)
    torch.testing.assert_close(after["weight"], state["weight"] + mean)


def test_what_a_member_changes_later_does_not_count(guard: Guard, members: list[Member], state: State) -> None:
    with GuardedRound(guard, state, members) as guarded:
        for number, member in enumerate(members):
            update = update_of(state, number)
            guarded.submit(member, update, 10)
            update["weight"].fill_(1e6)
        after = guarded.aggregate()
    assert float(after["weight"].max()) < 2.0


def test_when_the_control_plane_is_away_the_state_stays(members: list[Member], state: State) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    with SyncControlPlane(nobody, DeviceKey.generate()) as away:
        guard = Guard(away, audience=AUDIENCE, model=MODEL, patience_seconds=0.3)
        after = run_round(guard, state, members, {})
    torch.testing.assert_close(after["weight"], state["weight"])
    assert guard.report.drops["seal", "unavailable"] == 1


def test_a_guard_that_may_not_open_rounds_says_so(members: list[Member], state: State) -> None:
    guard = Guard(members[0].plane, audience="aggregator-1", model="smart-home-intents")
    with pytest.raises(Denied), GuardedRound(guard, state, members):
        pass


def test_a_counter_of_the_state_spoils_no_update_and_stays_as_it_is(
    guard: Guard, members: list[Member], state: State
) -> None:
    counted = {place: {**update_of(state, place), "steps": torch.tensor(7)} for place in range(5)}
    after = run_round(guard, state, members, counted)
    assert guard.report.rounds[-1].accepted == 5
    assert torch.equal(after["steps"], state["steps"])


def test_an_update_of_another_shape_is_dropped_for_its_shape(guard: Guard, members: list[Member], state: State) -> None:
    run_round(guard, state, members, {0: {**update_of(state, 0), "more": torch.ones(3)}})
    assert guard.report.rounds[-1].dropped == {("gate", "update_shaped"): 1}


def test_why_nobody_takes_part_is_told_aloud_once(
    enrol: Enrol, members: list[Member], state: State, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "ztfm.guard")
    guard = Guard(enrol("aggregator").plane, audience=AUDIENCE, model="pump-vibration")
    with GuardedRound(guard, state, members[:2]) as guarded:
        assert guarded.allowed() == []
    said = [record for record in caplog.records if "has no part in the round" in record.getMessage()]
    assert [record.levelname for record in said] == ["WARNING", "INFO"]
    assert "resource_known: No model of this id" in said[0].getMessage()


def test_a_model_in_place_of_its_state_is_told_what_to_give(guard: Guard) -> None:
    with pytest.raises(TypeError, match=r"give model\.state_dict\(\)"):
        GuardedRound(guard, torch.nn.Linear(2, 2), [])  # type: ignore[arg-type]
