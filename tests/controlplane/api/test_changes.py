"""The stream of changes over HTTP: who may follow it, what it says of which replica, and how it ends."""

import http.client
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from adapters.serversent import EventReader, ServerEvent
from controlplane.api import changes
from controlplane.contracts.identity import Device
from controlplane.entry import open_listeners
from controlplane.storage import open_store
from tests.controlplane.api.console.test_sessions import OURS, begin
from tests.controlplane.behaving import device as newcomer
from tests.support import MODEL, Caller, ControlPlane, running, wait_until

PATH = "/v1/changes"


@contextmanager
def following(caller: Caller, **headers: str) -> Iterator[tuple[Any, Iterator[ServerEvent]]]:
    """Follow changes over a connection of one's own; from then on nothing is missed."""
    plane = caller.plane
    with _opened(plane, {"DPoP": plane.proof(caller.key, "GET", PATH), **headers}) as found:
        yield found


@contextmanager
def by_cookie(plane: ControlPlane, cookie: str) -> Iterator[tuple[Any, Iterator[ServerEvent]]]:
    """Do so as a browser does that is signed in."""
    with _opened(plane, {"Cookie": cookie}) as found:
        yield found


@contextmanager
def _opened(plane: ControlPlane, headers: dict[str, str]) -> Iterator[tuple[Any, Iterator[ServerEvent]]]:
    host = urlsplit(plane.listens)
    connection = http.client.HTTPConnection(str(host.hostname), host.port, timeout=20.0)
    try:
        connection.request("GET", PATH, headers=headers)
        response = connection.getresponse()
        yield response, _events(response)
    finally:
        connection.close()


def _events(response: Any) -> Iterator[ServerEvent]:
    reader = EventReader()
    while piece := response.read1(65_536):
        yield from reader.feed(piece)


def until(events: Iterator[ServerEvent], name: str) -> ServerEvent:
    """Return the next event of a name."""
    return next(event for event in events if event.name == name)


def test_whoever_looks_is_told_of_what_changes_and_of_nothing_more(plane: ControlPlane, operator: Caller) -> None:
    with following(operator) as (response, events):
        assert (response.status, response.headers["Content-Type"]) == (200, "text/event-stream")
        assert response.headers["Cache-Control"] == "no-store"
        device = plane.enrol("trainer")
        event = until(events, "devices")
        assert event.data.startswith('{"at":')
        assert device.id not in event.data
        plane.enrol("aggregator").open_round("changes-round", [device])
        until(events, "rounds")
        device.capability("model_access", digest="sha256:" + "d" * 64, purpose="training", round_id="changes-round")
        until(events, "decisions")


def test_whoever_looks_does_not_see_itself_looking() -> None:
    with running() as own:
        caller = own.enrol("operator")
        with following(caller) as (_, events):
            caller.get("/v1/devices").expect(200)
            caller.get("/v1/decisions").expect(200)
            own.run(own.store.devices.add(newcomer()))
            assert next(events).name == "devices"


def test_what_another_replica_writes_is_told(tmp_path: Path) -> None:
    with running(state=tmp_path / "state") as own:
        caller = own.enrol("operator")
        with following(caller) as (_, events):

            async def elsewhere(added: Device) -> None:
                replica = await open_store(f"sqlite+aiosqlite:///{own.state / 'ztfm.db'}")
                await replica.devices.add(added)
                await replica.close()

            own.run(elsewhere(newcomer()))
            assert next(events).name == "devices"


def test_whoever_resumes_is_told_of_every_kind(operator: Caller) -> None:
    with following(operator, **{"Last-Event-ID": "1767225600.5"}) as (_, events):
        kinds = [next(events).name for _ in range(5)]
    assert kinds == ["rounds", "devices", "decisions", "policies", "rollbacks"]


@pytest.mark.parametrize("role", ["trainer", "consumer", "aggregator", "gateway", "router"])
def test_only_those_whom_policy_lets_follow_changes_do(plane: ControlPlane, role: str) -> None:
    assert plane.call("GET", PATH).status == 401
    assert plane.stranger().get(PATH).status == 401
    assert plane.enrol(role).get(PATH).kind == "denied"


@pytest.mark.parametrize("status", ["quarantined", "revoked"])
def test_a_follower_that_is_shut_out_is_let_go_and_not_let_in_again(plane: ControlPlane, status: Any) -> None:
    caller = plane.enrol("operator")
    with following(caller) as (_, events):
        plane.run(plane.services.registry.set_status(caller.id, status))  # type: ignore[attr-defined]
        plane.enrol("trainer")
        assert list(events) == []
    assert caller.get(PATH).status in (401, 403)


def test_a_follower_that_was_shut_out_just_before_is_not_let_in_by_what_a_replica_remembers(
    plane: ControlPlane,
) -> None:
    caller = plane.enrol("operator")
    for status in ("quarantined", "active"):
        plane.run(plane.services.registry.set_status(caller.id, status))  # type: ignore[attr-defined]
    assert caller.get(PATH).kind == "too-many-requests"


def test_whoever_follows_by_a_session_is_let_go_with_it(plane: ControlPlane) -> None:
    first, second = begin(plane.enrol("operator")), begin(plane.enrol("operator"))
    with by_cookie(plane, first) as (response, events), by_cookie(plane, second) as (_, others):
        assert response.status == 200
        plane.call("DELETE", "/v1/console/session", headers={"Cookie": first, **OURS}).expect(204)
        assert [event.name for event in events if event.name not in ("devices", "decisions")] == []
        plane.enrol("trainer")
        until(others, "devices")
    assert plane.call("GET", PATH, headers={"Cookie": first}).status == 401


def test_one_caller_has_a_few_streams_and_then_has_to_wait(plane: ControlPlane) -> None:
    caller = plane.enrol("operator")
    with ExitStack() as opened:
        for _ in range(8):
            response, _ = opened.enter_context(following(caller))
            assert response.status == 200
        reply = caller.get(PATH)
        assert (reply.status, reply.kind) == (429, "too-many-requests")
        assert int(reply.headers["Retry-After"]) >= 1
    plane.enrol("trainer")
    wait_until(lambda: plane.metric("ztfm_change_followers") == 0, 20.0)


@pytest.fixture
def tight(monkeypatch: pytest.MonkeyPatch) -> Iterator[ControlPlane]:
    """A control plane whose connections hold little of what nobody takes, and which waits for nobody for long."""

    def opened(*given: Any) -> Any:
        built, listeners = open_listeners(*given)
        for listener in listeners:
            listener.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        return built, listeners

    monkeypatch.setattr("tests.support.open_listeners", opened)
    monkeypatch.setattr(changes, "WRITE_SECONDS", 0.2)
    monkeypatch.setattr(
        changes, "_told", lambda _request, kinds: f": {'x' * 10_000_000}\n\n" if kinds else ": alive\n\n"
    )
    with running() as found:
        yield found


def test_a_follower_that_takes_nothing_is_cut_off_and_counted_and_keeps_nobody_waiting(tight: ControlPlane) -> None:
    caller, other = tight.enrol("operator"), tight.enrol("operator")
    host = urlsplit(tight.listens)
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect((str(host.hostname), int(host.port or 0)))
        proof = tight.proof(caller.key, "GET", PATH)
        deaf.sendall(f"GET {PATH} HTTP/1.1\r\nHost: {host.netloc}\r\nDPoP: {proof}\r\n\r\n".encode())
        wait_until(lambda: tight.metric("ztfm_change_followers") == 1)
        tight.enrol("trainer")
        other.get("/v1/devices").expect(200)
        wait_until(lambda: tight.metric("ztfm_change_followers_dropped_total") == 1, 30.0)
        wait_until(lambda: tight.metric("ztfm_change_followers") == 0, 30.0)


def test_streams_end_when_the_control_plane_stops() -> None:
    with ExitStack() as held:
        with running() as own:
            _, events = held.enter_context(following(own.enrol("operator")))
        assert list(events) == []


def test_what_is_told_is_counted_by_kind_and_streams_are_no_slow_requests(
    plane: ControlPlane, operator: Caller
) -> None:
    before = plane.metric("ztfm_changes_total", kind="devices")
    with following(operator) as (_, events):
        plane.enrol("trainer")
        until(events, "devices")
    assert plane.metric("ztfm_changes_total", kind="devices") > before
    assert plane.metric("ztfm_http_request_duration_seconds_count", route=PATH) == plane.metric(
        "ztfm_http_request_duration_seconds_bucket", route=PATH, le="2.56"
    )


def test_what_a_rollback_and_a_policy_change_are_called(plane: ControlPlane, operator: Caller) -> None:
    aggregator, device = plane.enrol("aggregator"), plane.enrol("trainer")
    aggregator.open_round("changes-undone", [device])
    token = device.capability("gradient_submission", round_id="changes-undone").expect(201)["access_token"]
    report = {"updates": [plane.report(device, token)]}
    aggregator.post("/v1/rounds/changes-undone/updates", report).expect(200)
    with following(operator) as (_, events):
        order = {"subjects": [device.id], "reason": "It was not trusted."}
        assert operator.post("/v1/rounds/changes-undone/rollback", order).expect(201)["model"] == MODEL
        until(events, "rollbacks")
