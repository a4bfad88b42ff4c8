"""A broker whose topics an enrolled gateway keeps, for the tests of a file."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.member import Member
from adapters.mqtt.broker import BrokerMissing
from tests.adapters.mqtt.jobs import Kept
from tests.servers.mosquitto import mosquitto
from tests.support import ControlPlane


@pytest.fixture(scope="module")
def kept(plane: ControlPlane) -> Iterator[Kept]:
    """The broker, and the folder of its keeper."""
    folder = Path(tempfile.mkdtemp(prefix="ztfm-keeper-"))
    token = plane.token(["gateway"], "core")
    try:
        with Member.enrol(folder, plane.url, token, roles=["gateway"], segment="core") as keeper:
            name, authority = keeper.id, keeper.plane.certificate().authority
        with mosquitto(name, authority) as broker:
            yield Kept(broker, folder)
    except BrokerMissing as missing:
        pytest.skip(str(missing))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
