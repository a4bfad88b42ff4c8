"""Somebody who is enrolled from a folder of their own, as ``python -m adapters.enrol`` does it."""

from pathlib import Path

from adapters.member import Member
from tests.support import SEGMENTS, ControlPlane


def enrol(plane: ControlPlane, folder: Path, role: str) -> Path:
    """Enrol whoever has this folder, and return it."""
    Member.enrol(folder, plane.url, plane.token([role], SEGMENTS[role]), roles=[role], segment=SEGMENTS[role]).close()
    return folder
