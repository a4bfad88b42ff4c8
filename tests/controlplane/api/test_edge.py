"""The edge: problems for what is not there, health part by part, and headers that harm nobody."""

import pytest

from tests.support import ControlPlane, wait_until


@pytest.mark.parametrize(
    "path", ["/", "/nope", "/v1", "/v1/devices/", "/v1/rounds/a/b/updates", "/%00", "/..%2f..%2fetc"]
)
def test_what_is_not_there_is_a_problem(plane: ControlPlane, path: str) -> None:
    reply = plane.call("GET", path)
    assert reply.status == 404
    assert reply.kind == "not-found"
    assert b"/openapi.json" in reply.body


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/devices", "GET, POST"),
        ("DELETE", "/v1/rounds", "GET, POST"),
        ("POST", "/livez", "GET"),
        ("PUT", "/v1/decisions/dec-1", "GET"),
        ("TRACE", "/readyz", "GET"),
        ("OPTIONS", "/access/v1/evaluation", "POST"),
    ],
)
def test_another_method_is_a_problem_that_names_the_right_one(
    plane: ControlPlane, method: str, path: str, allowed: str
) -> None:
    reply = plane.call(method, path)
    assert reply.status == 405
    assert reply.kind == "method-not-allowed"
    assert reply.headers["Allow"] == allowed
    assert b"header Allow" in reply.body


def test_it_lives_and_is_ready_part_by_part(plane: ControlPlane) -> None:
    assert plane.call("GET", "/livez").body == b"ok\n"
    ready = plane.call("GET", "/readyz").expect(200)
    assert ready["ready"] is True
    assert ready["checks"] == {"opa": "ok", "policy": "ok", "store": "ok", "signing_key": "ok"}
    assert ready["policy_revision"]
    wait_until(lambda: plane.metric("ztfm_ready") == 1)


def test_the_published_keys_hold_nothing_private(plane: ControlPlane) -> None:
    reply = plane.call("GET", "/.well-known/jwks.json")
    assert reply.headers["Content-Type"].startswith("application/jwk-set+json")
    [key] = reply.expect(200)["keys"]
    assert key.keys() == {"kty", "crv", "x", "y", "kid", "use", "alg"}


def test_responses_say_little_of_the_server(plane: ControlPlane) -> None:
    for reply in (plane.call("GET", "/livez"), plane.call("GET", "/nope")):
        assert reply.headers["Server"] == "ztfm"
        assert reply.headers["X-Content-Type-Options"] == "nosniff"


def test_requests_are_counted_by_route_and_never_by_what_a_caller_chose(plane: ControlPlane) -> None:
    before = plane.metric("ztfm_http_requests_total", route="unmatched", method="GET", status="404")
    plane.call("GET", "/chosen-by-a-caller")
    plane.call("BREW", "/coffee")
    samples = plane.app_metrics()
    assert plane.metric("ztfm_http_requests_total", route="unmatched", method="GET", status="404") == before + 1
    assert not [name for name, labels in samples if "chosen" in str(labels) or "BREW" in str(labels)]


def test_an_unexpected_fault_is_a_problem_that_tells_nothing(
    plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_url: str) -> None:
        raise RuntimeError("inner detail")

    monkeypatch.setattr("controlplane.api.authentication.scheme_of", broken)
    reply = plane.call("POST", "/v1/capabilities", {})
    assert reply.status == 500
    assert reply.kind == "internal"
    assert b"inner detail" not in reply.body
