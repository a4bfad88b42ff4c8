"""A real control plane, an administrator of it, and files of fleets."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from adapters.fleet import Outcome, Wanted, enrol_fleet
from adapters.member import Member
from tests.support import ControlPlane


@pytest.fixture
def admin(plane: ControlPlane, tmp_path: Path) -> Path:
    """The folder of an administrator."""
    return administrator(plane, tmp_path / "admin")


def administrator(plane: ControlPlane, folder: Path) -> Path:
    """Enrol an administrator in a folder."""
    token = plane.token(["administrator"], "core")
    Member.enrol(folder, plane.url, token, roles=["administrator"], segment="core").close()
    return folder


@pytest.fixture
def fleet(tmp_path: Path) -> Callable[..., Path]:
    """Writes a fleet's file."""

    def written(rows: Sequence[Sequence[str]], columns: str = "name,roles,segment", name: str = "fleet.csv") -> Path:
        path = tmp_path / name
        path.write_text("\n".join([columns, *(",".join(row) for row in rows)]) + "\n")
        return path

    return written


@pytest.fixture
def run(tmp_path: Path, admin: Path) -> Callable[..., Outcome]:
    """Runs over a file, with the administrator, into one folder."""

    def ran(file: Path, **changes: Any) -> Outcome:
        stated: dict[str, Any] = {
            "file": file,
            "out": tmp_path / "station",
            "admin": admin,
            "url": None,
            "at_once": 8,
            "hours": 1.0,
            "patience_seconds": 30.0,
            "options": {},
        }
        given = {name: changes.pop(name) for name in list(changes) if name in stated}
        return enrol_fleet(Wanted(**{**stated, **given}), **changes)

    return ran


def trainers(count: int, prefix: str = "cam") -> list[list[str]]:
    """Return rows of devices in homes."""
    return [[f"{prefix}-{number}", "trainer", "homes"] for number in range(count)]


def journalled(station: Path) -> list[dict[str, Any]]:
    """Return the entries of devices in a journal."""
    entries = [json.loads(line) for line in (station / "journal.ndjson").read_text().splitlines()]
    return [entry for entry in entries if "name" in entry]
