"""Token Status Lists over HTTP, read with a library that is not ours and a decoder of the test's own."""

import json
import time
import zlib
from base64 import urlsafe_b64decode
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.adapters.listening import capability_of
from tests.support import Caller, ControlPlane, wait_until


@pytest.fixture
def watcher(plane: ControlPlane) -> Caller:
    return plane.enrol("gateway")


def window() -> int:
    return int(time.time()) // 600


def read(plane: ControlPlane, caller: Caller, number: int) -> tuple[dict[str, Any], bytes]:
    reply = caller.get(f"/v1/status-lists/{number}")
    assert reply.status == 200, reply.body
    assert reply.headers["Content-Type"] == "application/statuslist+jwt"
    keys = KeySet.import_key_set(plane.call("GET", "/.well-known/jwks.json").json)
    token = jwt.decode(reply.body.decode(), keys, algorithms=["ES256"])
    assert token.header["typ"] == "statuslist+jwt"
    lst = token.claims["status_list"]["lst"]
    return dict(token.claims), zlib.decompress(urlsafe_b64decode(lst + "=" * (-len(lst) % 4)))


def is_void(raw: bytes, place: int) -> bool:
    return (raw[place // 8] & (1 << (place % 8))) != 0


def test_a_list_is_about_itself_and_says_how_long_it_may_be_kept(plane: ControlPlane, watcher: Caller) -> None:
    claims, raw = read(plane, watcher, window())
    assert claims["sub"] == f"{plane.url}/v1/status-lists/{window()}"
    assert claims["status_list"]["bits"] == 1
    assert abs(claims["iat"] - time.time()) < 5
    assert claims["iat"] < claims["exp"] <= claims["iat"] + 60
    assert claims["ttl"] > 0
    assert len(raw) == 2**17


def test_the_bit_of_a_revoked_capability_is_set_and_that_of_another_is_not(
    plane: ControlPlane, watcher: Caller
) -> None:
    device = plane.enrol("consumer")
    doomed, other = (capability_of(plane, device)[1] for _ in range(2))
    listed = int(doomed.status.status_list.uri.rpartition("/")[2])
    plane.run(
        plane.services.revocation.revoker.revoke_capability(
            doomed.jti, doomed.exp, doomed.decision_id, doomed.iat, reason="Lost."
        )
    )
    wait_until(lambda: is_void(read(plane, watcher, listed)[1], doomed.status.status_list.idx), 5.0)
    assert not is_void(read(plane, watcher, listed)[1], other.status.status_list.idx)


def test_the_bits_of_a_subjects_recent_capabilities_are_set_when_it_is_set_apart(
    plane: ControlPlane, watcher: Caller
) -> None:
    device = plane.enrol("consumer")
    sized = {"inference": {"prompt_tokens": 8, "max_output_tokens": 8}}
    token = device.capability("inference", **sized).expect(201)["access_token"]
    body = token.split(".")[1]
    status = json.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4)))["status"]["status_list"]
    listed = int(status["uri"].rpartition("/")[2])
    assert not is_void(read(plane, watcher, listed)[1], status["idx"])
    plane.run(plane.services.registry.set_status(device.id, "quarantined"))  # type: ignore[attr-defined]
    wait_until(lambda: is_void(read(plane, watcher, listed)[1], status["idx"]), 5.0)


@pytest.mark.parametrize("name", ["0", "-1", "abc", "1e3", "999999999999", "0007", "%2e%2e"])
def test_lists_in_which_nothing_lives_are_not_there(plane: ControlPlane, watcher: Caller, name: str) -> None:
    reply = watcher.get(f"/v1/status-lists/{name}")
    assert (reply.status, reply.kind) == (404, "not-found")


def test_only_those_whom_policy_lets_read_lists_do(plane: ControlPlane) -> None:
    path = f"/v1/status-lists/{window()}"
    assert plane.call("GET", path).status == 401
    assert plane.enrol("trainer").get(path).kind == "denied"
