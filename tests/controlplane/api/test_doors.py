"""Only health, keys, metadata, the contract, heads of the log, the console's page and the way to sign in to it answer a
caller who does not say who it is.
"""

import pytest

from controlplane.api.application import build_edge
from tests.support import ControlPlane

OPEN = {
    ("GET", "/livez"),
    ("GET", "/readyz"),
    ("GET", "/openapi.json"),
    ("GET", "/docs"),
    ("GET", "/v1/log/keys"),
    ("GET", "/v1/log/checkpoint"),
    ("GET", "/v1/log/consistency"),
    ("GET", "/v1/log/leaves"),
    ("GET", "/v1/identity/records"),
    ("GET", "/console"),
    ("GET", "/console/{path}"),
    ("GET", "/v1/console/sign-in"),
    ("GET", "/v1/console/oidc/start"),
    ("GET", "/v1/console/oidc/callback"),
}
"""What answers anybody; beside all that is under `/.well-known/`."""

BY_THEIR_OWN_PARAMETERS = {("POST", "/oauth/token")}
"""What says in its body who asks: without it, 400 or 401, as RFC 6749 section 5.2 wants."""


def doors() -> list[tuple[str, str]]:
    found = set()
    for route in build_edge("0").router.routes():
        assert route.resource is not None
        if route.method not in ("HEAD", "OPTIONS"):
            found.add((route.method, route.resource.canonical))
    return sorted(found)


CLOSED = [door for door in doors() if door not in OPEN and not door[1].startswith("/.well-known/")]


def test_the_table_of_doors_is_not_empty() -> None:
    assert len(CLOSED) >= 15
    assert set(doors()) >= OPEN, "what is gone must leave the list"
    assert {("POST", "/v1/capabilities"), ("GET", "/metrics"), ("POST", "/v1/devices")} <= set(CLOSED)


@pytest.mark.parametrize(("method", "path"), CLOSED, ids=lambda part: str(part))
def test_a_door_stays_shut(plane: ControlPlane, method: str, path: str) -> None:
    asked = path.format(id="dev-1", window="1", sequence="1", layer="base", did="did:key:z1", model="m", version="v")
    welcome = {400, 401} if (method, path) in BY_THEIR_OWN_PARAMETERS else {401}
    shown: list[dict[str, str]] = [
        {},
        {"Authorization": "Bearer x"},
        {"Authorization": "Basic YTph"},
        {"Authorization": "DPoP x"},
        {"DPoP": "x"},
        {"Cookie": "session=1"},
        {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-User": "administrator"},
    ]
    for headers in shown:
        for document in (None, {}):
            reply = plane.call(method, asked, document, headers=headers)
            assert reply.status in welcome, (headers, reply.status, reply.body[:200])


def test_what_answers_anybody_tells_nothing_that_is_anybodys_business(plane: ControlPlane) -> None:
    device = plane.enrol("consumer")
    for method, path in doors():
        if (method, path) in OPEN or path.startswith("/.well-known/"):
            body = plane.call(method, path).body
            assert device.id.encode() not in body
