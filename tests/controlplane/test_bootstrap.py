"""The first administrator: one secret, once, for a day, in a private file, and never again."""

from pathlib import Path

import pytest

from controlplane.bootstrap import LIFETIME_SECONDS
from controlplane.capabilities.errors import KeyFileError
from controlplane.jose.keys import DeviceKey
from tests.clocks import EarlyClock
from tests.support import ControlPlane, running


def secret_of(plane: ControlPlane) -> str:
    return (plane.state / "bootstrap-secret").read_text().strip()


def enrol(plane: ControlPlane, secret: str, role: str = "administrator", segment: str = "core") -> int:
    body = {"token": secret, "roles": [role], "segment": segment}
    return plane.call("POST", "/v1/devices", body, key=DeviceKey.generate()).status


def test_it_makes_an_administrator_and_is_gone(tmp_path: Path) -> None:
    with running() as plane:
        file = plane.state / "bootstrap-secret"
        assert file.stat().st_mode & 0o777 == 0o600
        secret = secret_of(plane)
        assert enrol(plane, secret) == 201
        assert not file.exists()
        assert enrol(plane, secret) == 403


def test_it_makes_nothing_but_an_administrator() -> None:
    with running() as plane:
        for role, segment in (("trainer", "homes"), ("gateway", "core"), ("operator", "core")):
            assert enrol(plane, secret_of(plane), role, segment) == 403
        assert (plane.state / "bootstrap-secret").exists()


def test_it_survives_a_restart_until_it_is_used(tmp_path: Path) -> None:
    with running(state=tmp_path) as plane:
        first = secret_of(plane)
    with running(state=tmp_path) as plane:
        assert secret_of(plane) == first
        assert enrol(plane, first) == 201


def test_it_is_never_made_again_once_there_was_an_administrator(tmp_path: Path) -> None:
    with running(state=tmp_path) as plane:
        secret = secret_of(plane)
        first = plane.enrol("administrator")
        assert enrol(plane, secret) == 403, "it makes no second one"
        assert not (tmp_path / "bootstrap-secret").exists(), "one who came by another token ends it too"
        change = {"status": "revoked", "reason": "gone"}
        plane.enrol("administrator").post(f"/v1/devices/{first.id}/status", change).expect(200)
    with running(state=tmp_path):
        assert not (tmp_path / "bootstrap-secret").exists()


def test_it_works_for_a_day_and_a_later_start_makes_another(tmp_path: Path) -> None:
    clock = EarlyClock()
    with running(state=tmp_path, clock=clock) as plane:
        old = secret_of(plane)
        clock.ahead = LIFETIME_SECONDS + 1
        assert enrol(plane, old) == 403
        plane.run(plane.services.access.on_administrator())  # type: ignore[arg-type]
        assert not (tmp_path / "bootstrap-secret").exists()
    with running(state=tmp_path, clock=clock) as plane:
        assert secret_of(plane) != old


def test_a_secret_that_others_can_read_stops_the_start(tmp_path: Path) -> None:
    with running(state=tmp_path):
        pass
    (tmp_path / "bootstrap-secret").chmod(0o644)
    with pytest.raises(KeyFileError, match="0644"), running(state=tmp_path):
        pass


def test_a_file_that_somebody_else_left_there_is_no_secret(tmp_path: Path) -> None:
    (tmp_path / "bootstrap-secret").touch(mode=0o600)
    (tmp_path / "bootstrap-secret").write_text("chosen-by-somebody-else")
    with running(state=tmp_path) as plane:
        assert secret_of(plane) != "chosen-by-somebody-else"
        assert enrol(plane, "chosen-by-somebody-else") == 403
