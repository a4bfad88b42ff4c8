"""Evidence that was recorded on real hardware, which lies beside the project and is no part of it."""

from pathlib import Path

import pytest

VECTORS = Path(__file__).resolve().parents[4] / "shared" / "vectors"


def recorded(name: str) -> bytes:
    """The bytes of a recorded file; a test that asks for one that is not there is skipped, and says so."""
    path = VECTORS / name
    if not path.is_file():
        pytest.skip(f"no recorded evidence here: {path}")
    return path.read_bytes()
