"""A control plane whose minutes are over when a test says so, and whose fleet was honest for a while."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clocks import Clock
from tests.support import ControlPlane, running

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture(scope="package")
def policies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The policies that are shipped, with calibrations of both channels."""
    folder = tmp_path_factory.mktemp("policies") / "policies"
    shutil.copytree(ROOT / "policies", folder)
    data = folder / "data" / "behaviour" / "data.json"
    terms = json.loads(data.read_text())
    terms["calibration"] |= {"access": [0.0] * 1000, "inference": [0.0] * 1000}
    data.write_text(json.dumps(terms))
    return folder


@pytest.fixture(scope="package")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="package")
def plane(policies: Path, clock: Clock) -> Iterator[ControlPlane]:
    with running(clock=clock, policies=policies) as found:
        yield found
