"""``/v1/keys`` and the key set: who may, what is shown, and what a rotation and a withdrawal do to capabilities."""

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from controlplane.capabilities.errors import SealError
from controlplane.capabilities.keyring import RETIRED_SECONDS
from controlplane.capabilities.keyset import read_keys
from controlplane.capabilities.refusals import Refused
from controlplane.jose.jws import decode_segment, encode_segment
from tests.clocks import EarlyClock
from tests.support import Caller, ControlPlane, Reply, running, wait_until

SIZE = {"prompt_tokens": 1, "max_output_tokens": 1}
JWKS = "/.well-known/jwks.json"


@pytest.fixture
def clock() -> EarlyClock:
    return EarlyClock()


@pytest.fixture
def own(clock: EarlyClock) -> Iterator[ControlPlane]:
    with running(clock=clock) as found:
        yield found


def kids(plane: ControlPlane) -> list[str]:
    return [key["kid"] for key in plane.call("GET", JWKS).expect(200)["keys"]]


def states(keeper: Caller) -> dict[str, str]:
    return {key["kid"]: key["state"] for key in keeper.get("/v1/keys").expect(200)["keys"]}


def minted(device: Caller) -> str:
    return str(device.capability("inference", inference=SIZE).expect(201)["access_token"])


def cause(plane: ControlPlane, token: str) -> str:
    found = plane.services.capabilities.verifier.inspect(token, action="inference")
    return found.cause if isinstance(found, Refused) else ""


def kid_of(token: str) -> str:
    header = token.split(".")[0]
    return str(json.loads(decode_segment(header.encode()))["kid"])


def test_a_rotation_publishes_then_signs_and_the_old_key_stays_until_all_has_expired(
    own: ControlPlane, clock: EarlyClock
) -> None:
    keeper, device = own.enrol("administrator"), own.enrol("consumer")
    (first,) = kids(own)
    following = keeper.post("/v1/keys").expect(202)
    assert following["state"] == "published"
    assert kids(own) == [first, following["kid"]]
    assert keeper.post("/v1/keys").expect(202) == following
    old = minted(device)
    assert kid_of(old) == first
    clock.ahead += 121
    new = minted(device)
    assert kid_of(new) == following["kid"]
    assert cause(own, new) == ""
    assert states(keeper) == {first: "retired", following["kid"]: "signing"}
    assert kids(own) == [first, following["kid"]]
    clock.ahead += RETIRED_SECONDS
    wait_until(lambda: kids(own) == [following["kid"]])
    assert states(keeper) == {first: "gone", following["kid"]: "signing"}


def test_a_withdrawn_key_verifies_nothing_from_that_moment(own: ControlPlane) -> None:
    keeper, device = own.enrol("administrator"), own.enrol("consumer")
    token = minted(device)
    bad = kid_of(token)
    assert cause(own, token) == ""
    withdrawn = keeper.post(f"/v1/keys/{bad}/withdraw", {"reason": "laptop stolen"}).expect(200)
    assert (withdrawn["kid"], withdrawn["state"]) == (bad, "withdrawn")
    assert cause(own, token) == "unknown_key"
    fresh = minted(device)
    assert kids(own) == [kid_of(fresh)] != [bad]
    assert cause(own, fresh) == ""
    again = keeper.post(f"/v1/keys/{bad}/withdraw", {"reason": "laptop stolen"}).expect(200)
    assert again == withdrawn
    (event, *_) = own.run(own.store.events.after(0))
    assert b"credential-change" in event[2]
    assert bad.encode() in event[2]


@pytest.mark.parametrize("role", ["trainer", "consumer", "aggregator", "gateway", "operator"])
def test_only_an_administrator_changes_keys(plane: ControlPlane, role: str) -> None:
    caller = plane.enrol(role)
    before = kids(plane)
    assert caller.post("/v1/keys").kind == "denied"
    assert caller.post(f"/v1/keys/{before[0]}/withdraw", {"reason": "mischief"}).kind == "denied"
    assert caller.post("/v1/keys/unknown/withdraw", {"reason": "mischief"}).kind == "denied"
    assert (caller.get("/v1/keys").status == 200) == (role == "operator")
    assert kids(plane) == before


def test_a_stranger_learns_nothing_but_the_public_keys(plane: ControlPlane) -> None:
    stranger = plane.stranger()
    for reply in (
        stranger.get("/v1/keys"),
        stranger.post("/v1/keys"),
        stranger.post(f"/v1/keys/{kids(plane)[0]}/withdraw", {"reason": "mischief"}),
        plane.call("GET", "/v1/keys"),
        plane.call("POST", "/v1/keys"),
    ):
        assert reply.kind == "unauthenticated"


@pytest.mark.parametrize("kid", ["A" * 43, "_" * 43, "unknown", "%2e%2e", "A" * 2000])
def test_a_key_that_is_not_there_is_not_found(plane: ControlPlane, kid: str) -> None:
    keeper = plane.enrol("administrator")
    assert keeper.post(f"/v1/keys/{kid}/withdraw", {"reason": "test"}).kind == "not-found"


@pytest.mark.parametrize(
    "body", [{}, {"reason": ""}, {"reason": None}, {"reason": "a\nb"}, {"reason": "x" * 257}, {"reason": "x", "kid": 1}]
)
def test_a_withdrawal_without_a_fitting_reason_is_refused(plane: ControlPlane, body: object) -> None:
    keeper, before = plane.enrol("administrator"), kids(plane)
    assert keeper.post(f"/v1/keys/{before[0]}/withdraw", body).kind == "invalid-request"
    assert kids(plane) == before


def test_nothing_private_is_shown(plane: ControlPlane) -> None:
    keeper = plane.enrol("administrator")
    key = plane.services.capabilities.keys.ring.current()
    private = key._private.private_numbers().private_value
    secret = encode_segment(private.to_bytes(32, "big"))
    shown = keeper.get("/v1/keys").body + plane.call("GET", JWKS).body + plane.metrics_text().encode()
    assert secret not in shown
    assert set(keeper.get("/v1/keys").json["keys"][0]) <= {
        *("kid", "state", "created_at", "signs_from", "retired_at", "withdrawn_at")
    }
    kept = b"".join(path.read_bytes() for path in plane.state.glob("ztfm.db*"))
    for line in key.to_pem().splitlines()[1:-1]:
        assert line not in kept
    assert private.to_bytes(32, "big") not in kept
    assert not (plane.state / "signing-key.pem").exists()


def _known(plane: ControlPlane, *tags: str) -> Reply:
    return plane.call("GET", JWKS, headers={"If-None-Match": ", ".join(tags)})


def test_the_key_set_has_a_strong_tag_and_an_age(own: ControlPlane) -> None:
    reply = own.call("GET", JWKS)
    tag = reply.headers["ETag"]
    assert tag.startswith('"')
    assert reply.headers["Cache-Control"] == "max-age=60"
    assert reply.headers["Content-Type"] == "application/jwk-set+json"
    assert len(read_keys(reply.json)) == 1
    for known in ((tag,), ('"other"', tag), (f"W/{tag}",), ("*",)):
        unchanged = _known(own, *known)
        assert (unchanged.status, unchanged.body, unchanged.headers["ETag"]) == (304, b"", tag)
        assert unchanged.headers["Cache-Control"] == "max-age=60"
    assert _known(own, '"other"').status == 200
    own.enrol("administrator").post("/v1/keys").expect(202)
    changed = _known(own, tag)
    assert changed.status == 200
    assert changed.headers["ETag"] != tag


def test_without_a_key_that_signs_nothing_is_granted(own: ControlPlane) -> None:
    device = own.enrol("consumer")
    # Every look at the timer finds it further on, so that the ring is never fresh.
    own.services.capabilities.keys.ring._timer = count(1e12, 100.0).__next__
    assert device.capability("inference", inference=SIZE).kind == "unavailable"
    wait_until(lambda: own.call("GET", "/readyz").json["checks"]["signing_key"] == "not read for 30 s")
    assert own.call("GET", "/readyz").status == 503


def test_the_metrics_show_how_the_keys_stand(own: ControlPlane, clock: EarlyClock) -> None:
    keeper = own.enrol("administrator")
    keeper.post("/v1/keys").expect(202)
    wait_until(lambda: own.metric("ztfm_signing_keys", state="published") == 1)
    assert own.metric("ztfm_signing_keys", state="signing") == 1
    assert own.metric("ztfm_signing_key_schedule_seconds") == 30 * 86_400
    clock.ahead += 1000
    wait_until(lambda: own.metric("ztfm_signing_keys", state="gone") == 1)
    assert 870 < own.metric("ztfm_signing_key_age_seconds") < 900


def test_replicas_share_the_ring_and_a_withdrawal_reaches_the_other_within_seconds(tmp_path: Path) -> None:
    shared: dict[str, Any] = {
        "database_url": f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}",
        "sealing_key_file": tmp_path / "sealing.key",
        "organisation_key_file": tmp_path / "organisation.key",
        "policy_key_file": tmp_path / "policy-signing.key",
    }
    with running(**shared) as one, running(**shared) as other:
        keeper, device = one.enrol("administrator"), one.enrol("consumer")
        assert kids(one) == kids(other)
        token = minted(device)
        # Each replica of the test has a URL of its own; but for that, the other would take it.
        assert cause(other, token) == "wrong_issuer"
        following = keeper.post("/v1/keys").expect(202)["kid"]
        wait_until(lambda: following in kids(other), 3)
        keeper.post(f"/v1/keys/{kid_of(token)}/withdraw", {"reason": "a test"}).expect(200)
        wait_until(lambda: cause(other, token) == "unknown_key", 3)
        assert kids(one) == kids(other)
        assert cause(other, minted(device)) == "wrong_issuer"


def test_a_replica_with_another_sealing_key_does_not_start(tmp_path: Path) -> None:
    database = f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}"
    shared = {"database_url": database, "policy_key_file": tmp_path / "policy-signing.key"}
    with running(**shared) as one:
        before = kids(one)
        with pytest.raises(SealError, match="copy it from another replica"), running(**shared):
            pass
        assert kids(one) == before
        assert one.call("GET", "/readyz").status == 200
