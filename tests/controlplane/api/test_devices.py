"""A device enrols once, with a token that its owner was given, as what the token allows and nothing more."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from controlplane.jose.keys import DeviceKey
from tests.support import ControlPlane


def test_an_enrolled_device_is_named_after_its_key(plane: ControlPlane) -> None:
    key = DeviceKey.generate()
    body = {"token": plane.token(["trainer"], "homes"), "roles": ["trainer"], "segment": "homes"}
    reply = plane.call("POST", "/v1/devices", body, key=key)
    assert reply.expect(201) == {
        "id": f"dev-{key.thumbprint}",
        "key_thumbprint": key.thumbprint,
        "roles": ["trainer"],
        "segment": "homes",
        "issuer": plane.url,
    }
    assert reply.headers["Cache-Control"] == "no-store"


def test_a_token_enrols_one_device(plane: ControlPlane) -> None:
    body = {"token": plane.token(["trainer"], "homes"), "roles": ["trainer"], "segment": "homes"}
    plane.call("POST", "/v1/devices", body, key=DeviceKey.generate()).expect(201)
    second = plane.call("POST", "/v1/devices", body, key=DeviceKey.generate())
    assert second.kind == "denied"
    assert [reason["code"] for reason in second.json["reasons"]] == ["token_unused"]


def test_a_token_that_is_used_at_the_same_time_enrols_one_device(plane: ControlPlane) -> None:
    body = {"token": plane.token(["trainer"], "homes"), "roles": ["trainer"], "segment": "homes"}
    keys = [DeviceKey.generate() for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        replies = list(threads.map(lambda key: plane.call("POST", "/v1/devices", body, key=key), keys))
    assert sorted({reply.status for reply in replies} - {403, 409}) == [201]
    assert [reply.status for reply in replies].count(201) == 1
    enrolled = [plane.run(plane.services.registry.get(f"dev-{key.thumbprint}")) for key in keys]
    assert len([device for device in enrolled if device is not None]) == 1


def test_a_key_enrols_once(plane: ControlPlane) -> None:
    key = DeviceKey.generate()
    for status in (201, 409):
        body = {"token": plane.token(["trainer"], "homes"), "roles": ["trainer"], "segment": "homes"}
        reply = plane.call("POST", "/v1/devices", body, key=key)
        assert reply.status == status
    assert reply.kind == "conflict"


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"roles": ["aggregator"]}, "roles_granted"),
        ({"roles": ["trainer", "operator"]}, "roles_granted"),
        ({"segment": "core"}, "segment_granted"),
    ],
)
def test_nobody_enrols_as_more_than_the_token_allows(plane: ControlPlane, asked: dict[str, object], code: str) -> None:
    body = {"token": plane.token(["trainer"], "homes"), "roles": ["trainer"], "segment": "homes", **asked}
    reply = plane.call("POST", "/v1/devices", body, key=DeviceKey.generate())
    assert reply.status == 403
    assert code in [reason["code"] for reason in reply.json["reasons"]]


@pytest.mark.parametrize("token", ["ztfm-enrol-" + "A" * 43, "guessed", "\u0000", "ztfm-enrol-", "ü" * 8192])
def test_a_token_that_nobody_issued_is_denied(plane: ControlPlane, token: str) -> None:
    body = {"token": token, "roles": ["trainer"], "segment": "homes"}
    reply = plane.call("POST", "/v1/devices", body, key=DeviceKey.generate())
    assert reply.kind == "denied"
    assert "token_valid" in [reason["code"] for reason in reply.json["reasons"]]
    assert token not in reply.body.decode()


def test_a_token_that_expired_is_denied(plane: ControlPlane) -> None:
    body = {"token": plane.token(["trainer"], "homes", 0.001), "roles": ["trainer"], "segment": "homes"}
    reply = plane.call("POST", "/v1/devices", body, key=DeviceKey.generate())
    assert "token_unexpired" in [reason["code"] for reason in reply.json["reasons"]]


def test_enrolments_are_counted(plane: ControlPlane) -> None:
    before = plane.metric("ztfm_enrolments_total", evidence="token", outcome="allow")
    plane.enrol("consumer")
    assert plane.metric("ztfm_enrolments_total", evidence="token", outcome="allow") == before + 1
