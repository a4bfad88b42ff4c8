import pytest

from tests.policies.support import Engine

NEEDED = [
    ("POST", "/v1/data/combined/batch"),
    ("POST", "/v1/data/ztfm/batch"),
    ("GET", "/v1/data/system/bundles/ztfm"),
    ("GET", "/v1/policies"),
    ("GET", "/metrics"),
]
REFUSED = [
    ("PUT", "/v1/policies/mine"),
    ("DELETE", "/v1/policies/ztfm"),
    ("PUT", "/v1/data/ztfm/limits"),
    ("PATCH", "/v1/data/data/limits"),
    ("POST", "/v1/query"),
    ("POST", "/v1/compile"),
    ("GET", "/v1/data"),
    ("GET", "/v1/data/system/authz"),
    ("GET", "/v1/config"),
    ("GET", "/v1/data/layers"),
    ("PATCH", "/v1/data/layers"),
    ("POST", "/v1/data/combined/narrowed"),
    ("POST", "/"),
]


@pytest.mark.parametrize(("method", "path"), NEEDED)
def test_the_token_opens_what_is_needed(engine: Engine, method: str, path: str) -> None:
    assert engine.request(method, path, "") == 200


@pytest.mark.parametrize(("method", "path"), [*NEEDED, *REFUSED])
@pytest.mark.parametrize("token", [None, "guess"])
def test_nobody_else_may_ask(engine: Engine, method: str, path: str, token: str | None) -> None:
    assert engine.request(method, path, token) == 401


@pytest.mark.parametrize(("method", "path"), REFUSED)
def test_the_token_opens_nothing_else(engine: Engine, method: str, path: str) -> None:
    assert engine.request(method, path, "") == 401


def test_health_is_told_to_anyone(engine: Engine) -> None:
    assert engine.request("GET", "/health", None) == 200
