"""Devices that took another key take part under their name, and nobody else does: with the real jobs."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from adapters.credentials import IDENTIFY, Introduction, subject_of, target
from adapters.errors import Unreachable
from adapters.guard import Guard, Member, Refused
from adapters.guard.checkpoint import Checkpoint
from adapters.naming import KNOWN_SECONDS, Names
from adapters.pytorch import GuardedRound
from controlplane.capabilities.proof import make_proof
from controlplane.identifiers.documents import Resolution
from controlplane.jose.keys import DeviceKey
from tests.adapters.conftest import AUDIENCE, update_of
from tests.adapters.guard.test_guard import cause_of
from tests.adapters.http.jobs import QUICK, honest, mean_of, running_job, taking_part
from tests.support import ControlPlane

Enrol = Callable[..., Member]


@pytest.fixture
def members(enrol: Enrol) -> list[Member]:
    return [enrol("trainer") for _ in range(5)]


def _claims(name: str, key: DeviceKey) -> Introduction:
    return Introduction(name, make_proof(key, method=IDENTIFY, url=target(AUDIENCE, ""), now=time.time()))


def test_a_plain_loop_goes_on_with_devices_that_rotate_before_it_and_between_its_rounds(
    guard: Guard, members: list[Member], state: dict[str, Tensor]
) -> None:
    members[0].rotate_key()
    for number in range(2):
        with GuardedRound(guard, state, members) as guarded:
            assert guarded.allowed() == members
            for place, member in enumerate(members):
                guarded.submit(member, update_of(state, 10 * number + place), 10)
            state = guarded.aggregate()
        assert guard.report.rounds[-1].accepted == 5
        members[1].rotate_key()
        members[0].rotate_key()


def test_a_job_over_http_goes_on_with_devices_that_rotate_before_it_and_between_its_rounds(
    plane: ControlPlane, guard: Guard, members: list[Member], state: dict[str, Tensor], tmp_path: Path
) -> None:
    members[0].rotate_key()

    def rotating(weights: Path, update: Path, now: object) -> int:
        # Its weights were pulled with one key, and its update is sent with another.
        members[1].rotate_key()
        return honest(1)(weights, update, now)  # type: ignore[arg-type]

    bounds = replace(QUICK, least_members=5)
    with (
        running_job(plane, guard, tmp_path / "a", state, rounds=2, bounds=bounds) as job,
        taking_part(members, job.url, tmp_path, {1: rotating}) as sent,
    ):
        ended = job.result()
    assert sent == [2] * 5
    assert [report.accepted for report in ended.rounds] == [5, 5]
    twice = mean_of(mean_of(state, [0, 1, 2, 3, 4]), [10, 11, 12, 13, 14])
    torch.testing.assert_close(ended.state["weight"], twice["weight"])


def test_nobody_is_known_by_a_name_that_is_not_that_of_its_key(guard: Guard, enrol: Enrol) -> None:
    owner, other = enrol("trainer"), enrol("trainer")
    first = owner.key
    for key in (DeviceKey.generate(), other.key):
        assert cause_of(guard.identify(_claims(owner.id, key))) == "wrong_subject"
    owner.rotate_key()
    assert guard.identify(owner.introduce(AUDIENCE)) == owner.id
    # Neither a stranger, nor a member, nor whoever has the key that was given up; nor the owner by its new key's name.
    for key in (DeviceKey.generate(), other.key, first):
        assert cause_of(guard.identify(_claims(owner.id, key))) == "wrong_subject"
    assert cause_of(guard.identify(_claims(subject_of(owner.key.thumbprint), owner.key))) == "wrong_subject"
    second = owner.key
    owner.rotate_key()
    assert guard.identify(owner.introduce(AUDIENCE)) == owner.id
    assert cause_of(guard.identify(_claims(owner.id, second))) == "wrong_subject"


def test_a_revoked_device_is_known_by_no_second_key(plane: ControlPlane, guard: Guard, enrol: Enrol) -> None:
    member, administrator = enrol("trainer"), enrol("administrator")
    member.rotate_key()
    administrator.plane.set_status(member.id, "revoked", "stolen")
    assert cause_of(guard.identify(member.introduce(AUDIENCE))) == "wrong_subject"


def test_while_nobody_can_be_asked_a_second_key_has_no_name_and_a_first_one_has() -> None:
    def _away(_did: str) -> Resolution:
        raise Unreachable("the cable was cut")

    first, second = DeviceKey.generate(), DeviceKey.generate()
    names = Names(_away)
    point = Checkpoint(dict, "https://plane.example", AUDIENCE, time.time, names=names)
    assert cause_of(point.identify(_claims(subject_of(first.thumbprint), second))) == "revocations_unknown"
    assert point.identify(_claims(subject_of(first.thumbprint), first)) == subject_of(first.thumbprint)
    alone = Checkpoint(dict, "https://plane.example", AUDIENCE, time.time)
    assert cause_of(alone.identify(_claims(subject_of(first.thumbprint), second))) == "wrong_subject"


def test_strangers_are_asked_about_so_often_and_no_more() -> None:
    asked, now = [], 0.0

    def _away(did: str) -> Resolution:
        asked.append(did)
        raise Unreachable("the cable was cut")

    names = Names(_away, lambda: now)
    for _ in range(100):
        assert names.holding("dev-claimed", DeviceKey.generate().public) == "unknown"
    assert len(asked) == 20
    now = 1.0
    names.holding("dev-claimed", DeviceKey.generate().public)
    assert len(asked) == 21


def test_what_was_learnt_of_a_key_is_forgotten_and_that_a_first_key_was_given_up_is_not() -> None:
    first, second, third = (DeviceKey.generate() for _ in range(3))
    now, name = 0.0, subject_of(first.thumbprint)
    names = Names(None, lambda: now)
    assert names.of(first.thumbprint) == name
    names.learn(name, second.thumbprint)
    assert (names.of(first.thumbprint), names.of(second.thumbprint)) == (None, name)
    names.learn(name, third.thumbprint)
    assert names.of(second.thumbprint) == subject_of(second.thumbprint)
    now = KNOWN_SECONDS
    assert names.of(third.thumbprint) == subject_of(third.thumbprint)
    assert names.of(first.thumbprint) is None
    assert names.holding(name, first.public) == "another"


def test_refused_is_a_value(guard: Guard) -> None:
    assert isinstance(guard.identify(_claims("not a name", DeviceKey.generate())), Refused)
