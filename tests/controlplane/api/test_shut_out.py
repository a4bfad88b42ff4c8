"""Whoever is shut out gets nothing from then on, however slowly it asks and whatever is still remembered of it."""

import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from controlplane.contracts.events import REACH_SECONDS
from controlplane.decisions.engine import Answer
from tests.controlplane.api.oauth_client import FORM, OAuthClient
from tests.support import DIGEST, MODEL, Caller, ControlPlane, Reply, wait_until

JSON = "application/json"
ASKED: dict[str, Any] = {
    "action": "inference",
    "resource": {"type": "model", "id": MODEL},
    "audience": "gateway-1",
    "context": {"inference": {"prompt_tokens": 10, "max_output_tokens": 10}},
}


def set_status(plane: ControlPlane, caller: Caller, status: str) -> None:
    plane.run(plane.services.registry.set_status(caller.id, status))  # type: ignore[arg-type]


@contextmanager
def begun(caller: Caller, path: str, body: bytes, content_type: str = JSON) -> Iterator[Callable[[], Reply]]:
    """Send a request whose proof holds, less the end of its body; what is given ends it and returns the answer."""
    plane = caller.plane
    host = urlsplit(plane.listens)
    proof = plane.proof(caller.key, "POST", path, nonce=plane.services.proving.nonces.current())
    connection = http.client.HTTPConnection(str(host.hostname), host.port, timeout=30.0)

    def end() -> Reply:
        connection.send(body[5:])
        response = connection.getresponse()
        return Reply(response.status, dict(response.headers.items()), response.read())

    before = plane.metric("ztfm_authentications_total", method="proof", outcome="ok")
    try:
        connection.putrequest("POST", path)
        for name, value in {"DPoP": proof, "Content-Type": content_type, "Content-Length": str(len(body))}.items():
            connection.putheader(name, value)
        connection.endheaders(body[:5])
        wait_until(lambda: plane.metric("ztfm_authentications_total", method="proof", outcome="ok") > before)
        yield end
    finally:
        connection.close()


ASKS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "a capability": ("consumer", "/v1/capabilities", ASKED),
    "a certificate": ("consumer", "/v1/certificates", {"lifetime_seconds": 3600.0}),
    "a JWT-SVID": ("consumer", "/v1/svids/jwt", {"audience": ["gateway-1"]}),
    "enrolment tokens": ("administrator", "/v1/enrolment-tokens", {"roles": ["administrator"], "segment": "core"}),
    "a round": (
        "aggregator",
        "/v1/rounds",
        {"id": "round-slow", "model": MODEL, "model_digest": DIGEST, "members": [], "duration_seconds": 60.0},
    ),
    "an evaluation": (
        "gateway",
        "/access/v1/evaluation",
        {"subject": {"type": "device", "id": "dev-1"}, "action": {"name": "inference"}, "resource": ASKED["resource"]},
    ),
}


@pytest.mark.parametrize("status", ["quarantined", "revoked"])
@pytest.mark.parametrize("name", ASKS)
def test_a_body_that_comes_after_its_sender_was_shut_out_gets_nothing(
    plane: ControlPlane, name: str, status: str
) -> None:
    role, path, document = ASKS[name]
    caller = plane.enrol(role)
    if "members" in document:
        document = {**document, "members": [plane.enrol("trainer").id]}
    with begun(caller, path, json.dumps(document).encode()) as end:
        set_status(plane, caller, status)
        reply = end()
    assert (reply.status, reply.kind) == (403, "denied"), reply.body
    assert "subject_active" in {reason["code"] for reason in reply.json["reasons"]}


@pytest.mark.parametrize("grant", ["exchange_form", "credentials_form"])
def test_a_form_that_comes_after_its_sender_was_revoked_gets_no_token(plane: ControlPlane, grant: str) -> None:
    caller = plane.enrol("consumer")
    form = urlencode(getattr(OAuthClient(caller), grant)()).encode()
    with begun(caller, "/oauth/token", form, FORM) as end:
        set_status(plane, caller, "revoked")
        reply = end()
    assert 400 <= reply.status < 500, reply.body
    assert "access_token" not in reply.json


def test_a_decision_that_took_longer_than_a_revocation_reaches_mints_nothing(
    plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = plane.enrol("consumer")
    engine = plane.services.decider._engine
    ask, moved = engine.ask, 0.0

    async def held_up(package: str, document: bytes) -> Answer:
        nonlocal moved
        answer = await ask(package, document)
        if package == "inference":
            await plane.services.registry.set_status(caller.id, "revoked")
            moved = REACH_SECONDS + 0.1
        return answer

    real = plane.clock
    monkeypatch.setattr(engine, "ask", held_up)
    for part in (plane.services.revocation.revoker, plane.services.capabilities.minter):
        monkeypatch.setattr(part, "_clock", lambda: real() + moved)
    reply = caller.post("/v1/capabilities", ASKED)
    assert (reply.status, reply.kind) == (503, "unavailable"), reply.body
    monkeypatch.undo()
    assert caller.post("/v1/capabilities", ASKED).status == 403


def test_tokens_that_were_issued_are_not_shown_again_to_somebody_who_may_issue_none_any_more(
    plane: ControlPlane,
) -> None:
    caller = plane.enrol("administrator")
    body, headers = {"roles": ["trainer"], "segment": "homes"}, {"Idempotency-Key": "once"}
    first = caller.post("/v1/enrolment-tokens", body, headers=headers)
    assert first.expect(201)["tokens"] == caller.post("/v1/enrolment-tokens", body, headers=headers).json["tokens"]
    set_status(plane, caller, "revoked")
    again = caller.post("/v1/enrolment-tokens", body, headers=headers)
    assert (again.status, again.kind) == (403, "denied")


@pytest.mark.parametrize(("role", "path"), [("gateway", "/v1/events"), ("operator", "/v1/changes")])
def test_a_listener_that_another_replica_revoked_is_not_let_in_while_it_is_still_remembered(
    plane: ControlPlane, role: str, path: str
) -> None:
    watcher = plane.enrol(role)
    services = plane.services
    notice = services.revocation.revoker.status_notice([watcher.id], "revoked", initiator="admin")
    host = urlsplit(plane.listens)
    connection = http.client.HTTPConnection(str(host.hostname), host.port, timeout=10.0)
    try:
        proof = plane.proof(watcher.key, "GET", path)
        # Read now, so that what is remembered is as old as it may be.
        assert plane.run(services.registry.get(watcher.id)) is not None
        # As another replica does it: this one learns of it by the events alone.
        assert plane.run(plane.store.devices.set_status(watcher.id, "revoked", notice))
        state = services.revocation.revoker._state
        wait_until(lambda: ("subject", watcher.id) in state._void)
        remembered = services.registry._memory.get(watcher.id)  # type: ignore[attr-defined]
        connection.request("GET", path, headers={"DPoP": proof})
        response = connection.getresponse()
        assert remembered is not None, "the test has to be quicker than what is remembered fades"
        assert remembered.status == "active"
        assert response.status in (403, 429)
    finally:
        connection.close()


def test_strangers_who_send_slowly_are_let_go(plane: ControlPlane) -> None:
    host = urlsplit(plane.listens)
    began = time.monotonic()
    with socket.create_connection((str(host.hostname), int(host.port or 0)), timeout=30.0) as slow:
        head = (
            "POST /v1/capabilities HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
        )
        slow.sendall(head.encode() + b"{")
        assert slow.recv(65_536).startswith(b"HTTP/1.1 401")
        while slow.recv(65_536):
            pass
    assert time.monotonic() - began < 10.0
