"""A guard as a real deployment opens it follows revocations."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from adapters.guard import Guard, Member, Refused
from tests.support import MODEL, SEGMENTS, ControlPlane, wait_until

AUDIENCE = "aggregator-1"


@pytest.fixture
def folder(plane: ControlPlane, tmp_path: Path) -> Path:
    place = tmp_path / "aggregator"
    token = plane.token(["aggregator"], SEGMENTS["aggregator"])
    Member.enrol(place, plane.url, token, roles=["aggregator"], segment=SEGMENTS["aggregator"]).close()
    return place


def test_what_a_device_pulled_with_before_it_was_set_apart_is_refused_within_a_second_or_so(
    plane: ControlPlane, folder: Path, enrol: Callable[..., Member]
) -> None:
    member = enrol("trainer")
    with Guard.open(folder, audience=AUDIENCE, model=MODEL) as guard:
        sealed = guard.seal({"weight": torch.ones(2)}, [member.id])
        credentials = [member.pull(sealed.terms) for _ in range(40)]
        assert guard.authorize_pull(sealed, credentials.pop()) == member.id
        plane.run(plane.services.registry.set_status(member.id, "quarantined"))  # type: ignore[attr-defined]

        def cause() -> str:
            verdict = guard.authorize_pull(sealed, credentials.pop())
            return verdict.cause if isinstance(verdict, Refused) else ""

        wait_until(lambda: cause() == "revoked", 5.0)
        assert guard.report.pulls["revoked"] == 1


def test_what_a_device_had_with_its_first_key_is_void_once_it_has_another(
    plane: ControlPlane, folder: Path, enrol: Callable[..., Member]
) -> None:
    member = enrol("trainer")
    with Guard.open(folder, audience=AUDIENCE, model=MODEL) as guard:
        sealed = guard.seal({"weight": torch.ones(2)}, [member.id])
        held, known = [member.pull(sealed.terms) for _ in range(40)], [member.introduce(AUDIENCE) for _ in range(40)]
        assert guard.authorize_pull(sealed, held.pop()) == guard.identify(known.pop()) == member.id
        member.rotate_key()
        for cause, ask in (
            ("revoked", lambda: guard.authorize_pull(sealed, held.pop())),
            ("wrong_subject", lambda: guard.identify(known.pop())),
        ):

            def is_over(cause: str = cause, ask: Callable[[], object] = ask) -> bool:
                found = ask()
                return isinstance(found, Refused) and found.cause == cause

            wait_until(is_over, 5.0)
        # The guard learnt it from an event: the device itself did not show its new key yet, and now it does.
        assert guard.identify(member.introduce(AUDIENCE)) == member.id
        assert guard.authorize_pull(sealed, member.pull(sealed.terms)) == member.id


def test_a_guard_that_hears_nothing_refuses_everything(
    plane: ControlPlane, folder: Path, enrol: Callable[..., Member]
) -> None:
    member = enrol("trainer")

    class Silent:
        def standing(self, *_: Any) -> str:
            return "unknown"

    with Guard.open(folder, audience=AUDIENCE, model=MODEL, standings=Silent()) as guard:
        sealed = guard.seal({"weight": torch.ones(2)}, [member.id])
        verdict = guard.authorize_pull(sealed, member.pull(sealed.terms))
        assert isinstance(verdict, Refused)
        assert verdict.cause == "revocations_unknown"


def test_a_guard_follows_with_one_stream_and_ends_it(plane: ControlPlane, folder: Path) -> None:
    wait_until(lambda: plane.metric("ztfm_event_listeners") == 0, 10.0)
    with Guard.open(folder, audience=AUDIENCE, model=MODEL):
        assert plane.metric("ztfm_event_listeners") == 1
    wait_until(lambda: plane.metric("ztfm_event_listeners") == 0, 10.0)
