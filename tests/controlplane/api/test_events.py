"""The stream of security events over HTTP: who may follow it, what it says, and how it ends."""

import http.client
import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from adapters.serversent import EventReader, ServerEvent
from controlplane.contracts.events import DEVICE_COMPLIANCE_CHANGE, VERIFICATION, Notice
from controlplane.entry import open_listeners
from tests.support import Caller, ControlPlane, running, wait_until

PATH = "/v1/events"


@pytest.fixture
def watcher(plane: ControlPlane) -> Caller:
    return plane.enrol("gateway")


@contextmanager
def following(caller: Caller, query: str = "", **headers: str) -> Iterator[tuple[Any, Iterator[ServerEvent]]]:
    """Follow the events over a connection of one's own."""
    plane = caller.plane
    host = urlsplit(plane.listens)
    connection = http.client.HTTPConnection(str(host.hostname), host.port, timeout=10.0)
    try:
        sent = {"DPoP": plane.proof(caller.key, "GET", PATH), **headers}
        connection.request("GET", PATH + query, headers=sent)
        response = connection.getresponse()
        yield response, _events(response)
    finally:
        connection.close()


def _events(response: Any) -> Iterator[ServerEvent]:
    reader = EventReader()
    while piece := response.read1(65_536):
        yield from reader.feed(piece)


def claims_of(plane: ControlPlane, event: ServerEvent) -> dict[str, Any]:
    """Return the claims of an event, as a library that is not ours verifies them."""
    published = plane.call("GET", "/.well-known/jwks.json").json
    token = jwt.decode(event.data, KeySet.import_key_set(published), algorithms=["ES256"])
    assert token.header["typ"] == "secevent+jwt"
    return dict(token.claims)


def test_a_listener_hears_of_a_quarantine_in_terms_of_caep(plane: ControlPlane, watcher: Caller) -> None:
    device = plane.enrol("trainer")
    with following(watcher) as (response, events):
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/event-stream"
        assert response.headers["Cache-Control"] == "no-store"
        first = next(event for event in events if event.name == "keepalive")
        assert VERIFICATION in claims_of(plane, first)["events"]
        plane.run(plane.services.registry.set_status(device.id, "quarantined"))  # type: ignore[attr-defined]
        event = next(event for event in events if event.name == "security-event")
        claims = claims_of(plane, event)
        assert claims["iss"] == plane.url
        assert claims["jti"] == f"set-{event.id}"
        assert claims["sub_id"] == {"format": "opaque", "id": device.id}
        change = claims["events"][DEVICE_COMPLIANCE_CHANGE]
        assert (change["previous_status"], change["current_status"]) == ("compliant", "not-compliant")
        assert not {"exp", "sub"} & claims.keys()


@pytest.mark.parametrize("is_header", [True, False])
def test_whoever_resumes_gets_what_it_has_not_seen(plane: ControlPlane, watcher: Caller, is_header: bool) -> None:
    devices = [plane.enrol("trainer") for _ in range(3)]
    for device in devices:
        plane.run(plane.services.registry.set_status(device.id, "quarantined"))  # type: ignore[attr-defined]
    newest = plane.run(plane.store.events.bounds())[1]
    headers = {"Last-Event-ID": str(newest - 2)} if is_header else {}
    with following(watcher, "" if is_header else f"?last_event_id={newest - 2}", **headers) as (response, events):
        assert response.status == 200
        found = [next(events) for _ in range(3)]
        assert [event.id for event in found[:2]] == [str(newest - 1), str(newest)]
        assert claims_of(plane, found[1])["sub_id"]["id"] == devices[2].id
        assert found[2].name == "keepalive"


def test_whoever_resumes_from_what_there_never_was_is_told_to_distrust_what_it_holds(
    plane: ControlPlane, watcher: Caller
) -> None:
    with following(watcher, "?last_event_id=99999999999") as (_, events):
        assert next(events).name == "reset"


@pytest.mark.parametrize("asked", ["-1", "1.0", "abc", "007", "9" * 19])
def test_what_was_never_given_as_an_id_is_a_bad_request(plane: ControlPlane, watcher: Caller, asked: str) -> None:
    reply = watcher.get(PATH, headers={"Last-Event-ID": asked})
    assert (reply.status, reply.kind) == (400, "invalid-request")


def test_only_those_whom_policy_lets_follow_the_events_hear_any(plane: ControlPlane) -> None:
    assert plane.call("GET", PATH).status == 401
    assert plane.stranger().get(PATH).status == 401
    reply = plane.enrol("trainer").get(PATH)
    assert (reply.status, reply.kind) == (403, "denied")
    assert plane.enrol("consumer").get(PATH).status == 403


def test_a_listener_that_is_set_apart_is_let_go_and_not_let_in_again(plane: ControlPlane, watcher: Caller) -> None:
    with following(watcher) as (_, events):
        next(events)
        plane.run(plane.services.registry.set_status(watcher.id, "quarantined"))  # type: ignore[attr-defined]
        left = list(events)
        assert watcher.id not in str(left)
    assert watcher.get(PATH).status == 403


def test_one_caller_has_a_few_streams_and_then_has_to_wait(plane: ControlPlane, watcher: Caller) -> None:
    opened = [following(watcher) for _ in range(8)]
    try:
        for one in opened:
            _, events = one.__enter__()
            next(events)
        reply = watcher.get(PATH)
        assert (reply.status, reply.kind) == (429, "too-many-requests")
        assert int(reply.headers["Retry-After"]) >= 1
    finally:
        for one in opened:
            one.__exit__(None, None, None)
    wait_until(lambda: plane.metric("ztfm_event_listeners") == 0, 10.0)


@pytest.fixture
def tight(monkeypatch: pytest.MonkeyPatch) -> Iterator[ControlPlane]:
    """A control plane whose connections hold little of what nobody takes; the system's own would hold megabytes."""

    def opened(*given: Any) -> Any:
        built, listeners = open_listeners(*given)
        for listener in listeners:
            listener.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
        return built, listeners

    monkeypatch.setattr("tests.support.open_listeners", opened)
    with running() as found:
        yield found


def test_a_listener_that_takes_nothing_is_cut_off_counted_and_can_resume(tight: ControlPlane) -> None:
    watcher, device = tight.enrol("gateway"), tight.enrol("trainer")
    oldest = tight.run(tight.store.events.bounds())[1]
    host = urlsplit(tight.listens)
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect((str(host.hostname), int(host.port or 0)))
        proof = tight.proof(watcher.key, "GET", PATH)
        deaf.sendall(f"GET {PATH} HTTP/1.1\r\nHost: {host.netloc}\r\nDPoP: {proof}\r\n\r\n".encode())
        wait_until(lambda: tight.metric("ztfm_event_listeners") == 1)
        notice = tight.services.revocation.revoker.status_notice([device.id], "active", initiator="policy")
        tight.run(tight.store.revocations.add(Notice(events=notice.events * 1000)), 60.0)
        wait_until(lambda: tight.metric("ztfm_event_listeners_dropped_total") == 1, 30.0)
    with following(watcher, f"?last_event_id={oldest}") as (_, events):
        ids = [int(str(next(events).id)) for _ in range(1000)]
    assert ids == list(range(oldest + 1, oldest + 1001))


def test_streams_end_at_once_when_the_control_plane_stops() -> None:
    with running() as own:
        caller = own.enrol("gateway")
        follow = following(caller)
        _, events = follow.__enter__()
        next(events)
        began = time.monotonic()
    assert time.monotonic() - began < 4.0
    assert list(events) == []
    follow.__exit__(None, None, None)


def test_streams_do_not_count_as_slow_requests(plane: ControlPlane, watcher: Caller) -> None:
    with following(watcher) as (_, events):
        next(events)
        time.sleep(0.2)
    wait_until(lambda: plane.metric("ztfm_http_requests_total", route=PATH, method="GET", status="200") > 0)
    slow = plane.metric("ztfm_http_request_duration_seconds_count", route=PATH) - plane.metric(
        "ztfm_http_request_duration_seconds_bucket", route=PATH, le="0.16"
    )
    assert slow == 0


def test_events_are_counted_by_type_and_revocations_by_kind(plane: ControlPlane) -> None:
    device = plane.enrol("trainer")

    def counted() -> tuple[float, ...]:
        return (
            plane.metric("ztfm_revocations_total", kind="subject"),
            plane.metric("ztfm_security_events_total", type="session-revoked"),
            plane.metric("ztfm_security_events_total", type="credential-change"),
        )

    before = counted()
    plane.run(plane.services.registry.set_status(device.id, "revoked"))  # type: ignore[attr-defined]
    assert [now - then for now, then in zip(counted(), before, strict=True)] == [1.0, 1.0, 1.0]
    assert json.dumps(plane.metrics_text()).find(device.id) == -1
