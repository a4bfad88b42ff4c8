import os
import shutil
import socket
from pathlib import Path

import pytest

from adapters.client import SyncControlPlane
from adapters.mqtt import broker
from adapters.mqtt.broker import BrokerMissing
from tests.servers import mosquitto
from tests.servers.mosquitto import ensure_broker
from tests.support import ControlPlane


def said(connection: socket.socket) -> bytes:
    """Return what the other side says before it ends the connection."""
    try:
        return connection.recv(100)
    except ConnectionError:
        return b""


def test_a_broker_is_unprivileged_shows_nobody_anything_and_is_gone_afterwards(plane: ControlPlane) -> None:
    try:
        ensure_broker()
    except BrokerMissing as missing:
        pytest.skip(str(missing))
    caller = plane.enrol("gateway")
    with SyncControlPlane(plane.url, caller.key) as gateway:
        authority = gateway.certificate().authority
    with mosquitto.mosquitto(caller.id, authority) as found:
        process = found.process._process
        assert process is not None
        assert Path(f"/proc/{process.pid}").stat().st_uid != 0
        place = (found.address.host, found.address.port)
        with socket.create_connection(place, timeout=5) as plain:
            plain.settimeout(5)
            plain.sendall(b"\x10\x0d\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x00")
            assert not said(plain).startswith(b"\x20"), "a connection without TLS was taken"
        folder = found.authority.parent
    assert not folder.exists()
    with pytest.raises(OSError), socket.create_connection(place, timeout=1):
        pass


def test_without_a_broker_and_without_root_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(BrokerMissing, match="apt-get install mosquitto"):
        ensure_broker()


def test_a_broker_that_cannot_start_says_why(tmp_path: Path) -> None:
    try:
        ensure_broker()
    except BrokerMissing as missing:
        pytest.skip(str(missing))
    configured = tmp_path / "mosquitto.conf"
    configured.write_text("no_such_option true\n")
    with pytest.raises(BrokerMissing, match="no_such_option"), broker.running_broker(configured):
        pass
