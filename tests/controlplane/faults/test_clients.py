"""Clients that are slow, too large or too many cost themselves, and the honest are served all the while."""

import os
import resource
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from controlplane.api.reading import MAX_BODY_BYTES
from tests.controlplane.test_faults import ask
from tests.support import Caller, ControlPlane, running

WITHIN = 0.8
"""How long a slow client is waited for here."""

IDLE = int(os.environ.get("ZTFM_IDLE", "600"))
"""Idle connections; as many as an option asks for."""

HEAD = b"POST /v1/capabilities HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def hasty() -> Iterator[ControlPlane]:
    """A control plane that waits for slow clients only shortly."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("serving.KEEPALIVE_SECONDS", "serving.HANDSHAKE_SECONDS", "reading.BODY_SECONDS"):
            patch.setattr(f"controlplane.api.{name}", WITHIN)
        with running() as plane:
            yield plane


@pytest.fixture(scope="module")
def honest(hasty: ControlPlane) -> Caller:
    return hasty.enrol("consumer")


def connected(plane: ControlPlane) -> socket.socket:
    place = urlsplit(plane.listens)
    return socket.create_connection((str(place.hostname), int(place.port or 0)), timeout=20)


def dripped(connection: socket.socket, head: bytes, drop: bytes) -> bytes:
    """Send a head, then a drop again and again, and return what comes back until the other side closes."""
    connection.sendall(head)
    connection.settimeout(WITHIN / 8)
    said, deadline = b"", time.monotonic() + 30 * WITHIN
    while time.monotonic() < deadline:
        try:
            connection.sendall(drop)
            chunk = connection.recv(65_536)
        except TimeoutError:
            continue
        except OSError:
            return said
        if not chunk:
            return said
        said += chunk
    pytest.fail("it is listened to for ever")


@pytest.mark.parametrize("head", [b"", b"GET /livez HTTP/1.1\r\nX-Slow: "], ids=["request line", "header"])
def test_a_request_that_drips_is_not_listened_to_for_ever(hasty: ControlPlane, honest: Caller, head: bytes) -> None:
    with connected(hasty) as slow:
        assert not dripped(slow, head, b"a").startswith(b"HTTP/1.1 2")
    assert ask(honest).status == 201


def test_a_second_request_that_drips_is_not_either(hasty: ControlPlane) -> None:
    with connected(hasty) as slow:
        slow.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b" 200 " in slow.recv(65_536)
        assert dripped(slow, b"GET /livez HTTP/1.1\r\nX-Slow: ", b"a") == b""


def test_a_body_that_drips_is_given_up_however_steadily_it_comes(hasty: ControlPlane, honest: Caller) -> None:
    proof = hasty.proof(honest.key, "POST", "/v1/capabilities").encode()
    with connected(hasty) as slow:
        said = dripped(slow, HEAD + b"DPoP: " + proof + b"\r\nContent-Length: 100000\r\n\r\n", b" ")
    assert said.startswith(b"HTTP/1.1 408 ")
    assert ask(honest).status == 201


def test_a_body_without_an_end_is_not_read_to_it(hasty: ControlPlane, honest: Caller) -> None:
    proof = hasty.proof(honest.key, "POST", "/v1/capabilities").encode()
    chunk, before, deadline = b"10000\r\n" + b" " * 65_536 + b"\r\n", resident(), time.monotonic() + 30.0
    with connected(hasty) as greedy:
        greedy.sendall(HEAD + b"DPoP: " + proof + b"\r\nTransfer-Encoding: chunked\r\n\r\n")
        # What it sends after its answer is thrown away for two seconds, so that it can read it.
        with pytest.raises(OSError, match=r"reset|pipe"):
            while time.monotonic() < deadline:
                greedy.sendall(chunk)
    assert resident() - before < 4 * MAX_BODY_BYTES
    assert ask(honest).status == 201


def test_a_handshake_that_does_not_go_on_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controlplane.api.serving.HANDSHAKE_SECONDS", WITHIN)
    with running(tls_own=True) as plane, connected(plane) as silent, connected(plane) as half:
        half.sendall(b"\x16\x03\x01")
        for connection in (silent, half):
            assert is_closed(connection)
        trusted = ssl.create_default_context(cafile=str(plane.state / "tls" / "authority.pem"))
        with connected(plane) as raw, trusted.wrap_socket(raw, server_hostname="127.0.0.1") as good:
            good.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            assert good.recv(65_536).startswith(b"HTTP/1.1 200 ")


@contextmanager
def crowd(
    plane: ControlPlane, many: int, said: bytes = b"GET /livez HTTP/1.1\r\nHost: x\r\n"
) -> Iterator[list[socket.socket]]:
    """Open so many connections; every other one begins a request and does not end it."""
    with ExitStack() as opened:
        found = [opened.enter_context(connected(plane)) for _ in range(many)]
        for connection in found[::2]:
            connection.sendall(said)
        yield found


def is_closed(connection: socket.socket) -> bool:
    """Return whether the other side closed it, in either way."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def resident() -> int:
    """Return this process's memory, bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.fixture(scope="module")
def patient() -> Iterator[ControlPlane]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Both ends of each are in this process.
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 2 * IDLE + 1024)), hard))
    with running() as plane:
        yield plane
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_many_idle_connections_cost_little_and_the_honest_are_served(patient: ControlPlane) -> None:
    device = patient.enrol("consumer")
    assert ask(device).status == 201
    before = resident()
    with crowd(patient, IDLE):
        for _ in range(20):
            assert ask(device).status == 201
        assert resident() - before < 8 * 1024 * 1024 + IDLE * 32 * 1024
    assert patient.call("GET", "/readyz").status == 200


def test_where_there_is_no_room_the_longest_idle_goes_and_who_is_being_answered_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("controlplane.api.crowding.MOST_CONNECTIONS", 30)
    with running() as plane:
        device, gateway = plane.enrol("consumer"), plane.enrol("gateway")
        proof = plane.proof(gateway.key, "GET", "/v1/events").encode()
        with connected(plane) as listening:
            listening.sendall(b"GET /v1/events HTTP/1.1\r\nHost: x\r\nDPoP: " + proof + b"\r\n\r\n")
            assert listening.recv(65_536).startswith(b"HTTP/1.1 200 ")
            with crowd(plane, 120) as idle:
                assert ask(device).status == 201
                assert is_closed(idle[0])
                idle[-1].sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
                assert idle[-1].recv(65_536).startswith(b"HTTP/1.1 200 ")
                assert plane.metric("ztfm_event_listeners") == 1
            assert listening.recv(65_536)
