import secrets
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from pydantic import ValidationError

from controlplane.api.services import EdgeLimits
from controlplane.confidentiality.errors import SealRefused
from controlplane.confidentiality.hpke import PrivateReleaseKey
from controlplane.confidentiality.releasing import open_release
from controlplane.contracts.attestation import ReleaseKey
from controlplane.contracts.decision import Decision
from controlplane.contracts.secrets import ReleasedSecret, ReleaseRequest, SecretRequest
from tests.controlplane.api.oauth_client import OAuthClient
from tests.controlplane.attestations import attested, proven
from tests.support import DIGEST, MODEL, Caller, ControlPlane, Reply, running

WEIGHTS = f"{MODEL}/weights"
VALUE = bytes(range(32))


def text(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()


def at(name: str, then: str = "") -> str:
    return f"/v1/secrets/{quote(name, safe='')}{then}"


@pytest.fixture(scope="module")
def house() -> Iterator[ControlPlane]:
    with running() as plane:
        keeper = plane.enrol("administrator")
        keeper.post("/v1/secrets", {"id": WEIGHTS, "secret": text(VALUE)}).expect(201)
        keeper.post("/v1/secrets", {"id": "fall-detection/head"}).expect(201)
        yield plane


@pytest.fixture(scope="module")
def keeper(house: ControlPlane) -> Caller:
    return house.enrol("administrator")


@pytest.fixture
def device(house: ControlPlane) -> Caller:
    return house.enrol("trainer", "consumer")


def pull(device: Caller, **changes: Any) -> str:
    """Return a capability to pull the model to serve it."""
    asked = device.capability("model_access", digest=DIGEST, purpose="serving", **changes)
    token: str = asked.expect(201)["access_token"]
    return token


def ask(device: Caller, capability: str | None, name: str = WEIGHTS, purpose: str = "serving") -> Reply:
    return device.post(at(name, "/release"), {"purpose": purpose, **({"capability": capability} if capability else {})})


def codes(reply: Reply) -> set[str]:
    return {reason["code"] for reason in reply.expect(403)["reasons"]}


def test_an_attested_device_gets_the_key_of_what_it_may_pull_and_it_alone_can_open_it(device: Caller) -> None:
    key = proven(device)
    released = ReleasedSecret.model_validate(ask(device, pull(device)).expect(200))
    assert open_release(released, key, secret=WEIGHTS, device=device.id) == VALUE
    assert released.expires_at - device.plane.clock() == pytest.approx(300.0, abs=5.0)
    assert (released.kind, released.suite) == ("tpm", "mlkem768-x25519")
    with pytest.raises(SealRefused):
        open_release(released, PrivateReleaseKey.generate(), secret=WEIGHTS, device=device.id)
    for name in ("decision_id", "policy_revision"):
        with pytest.raises(SealRefused):
            open_release(released.model_copy(update={name: "other"}), key, secret=WEIGHTS, device=device.id)
    for known in ({"secret": "other", "device": device.id}, {"secret": WEIGHTS, "device": "dev-other"}):
        with pytest.raises(SealRefused):
            open_release(released, key, **known)
        with pytest.raises(SealRefused):
            open_release(released.model_copy(update=known), key, **known)


def test_each_release_is_on_record_without_the_secret(device: Caller) -> None:
    proven(device)
    capability = pull(device)
    released = ask(device, capability).expect(200)
    record = device.get(f"/v1/decisions/{released['decision_id']}").expect(200)
    assert (record["action"], record["resource"], record["outcome"]) == ("key_release", WEIGHTS, "allow")
    assert record["facts"]["context"]["capability"]["verified"] is True
    assert record["obligations"]["release_to"] == "tpm"
    for hidden in (text(VALUE), capability, released["ciphertext"]):
        assert hidden not in str(record)


def test_without_evidence_nothing_is_released(device: Caller) -> None:
    assert codes(ask(device, pull(device))) == {
        "attestation_fresh",
        "attestation_sufficient",
        "reference_accepted",
        "release_key_bound",
    }


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"age_seconds": 901.0}, {"attestation_fresh", "reference_accepted", "release_key_bound"}),
        (
            {"age_seconds": 100.0, "expires_at": 1.0},
            {"attestation_sufficient", "attestation_fresh", "reference_accepted", "release_key_bound"},
        ),
    ],
    ids=["old", "expired"],
)
def test_old_evidence_releases_nothing(device: Caller, changes: dict[str, Any], missing: set[str]) -> None:
    proven(device, **changes)
    assert codes(ask(device, pull(device))) == missing


def test_evidence_that_binds_no_key_releases_nothing(device: Caller) -> None:
    attested(device, release_key=None)
    assert codes(ask(device, pull(device))) == {"release_key_bound"}


def test_what_evidence_binds_and_is_no_key_gets_nothing_and_is_counted(device: Caller) -> None:
    before = device.plane.metric("ztfm_secret_releases_total", outcome="unsealable")
    attested(device, ReleaseKey(suite="x25519", key=text(bytes(32))))
    refused = ask(device, pull(device))
    assert (refused.status, refused.kind) == (409, "release-key-unusable")
    assert device.plane.metric("ztfm_secret_releases_total", outcome="unsealable") == before + 1


def test_without_a_capability_no_key_of_weights_is_released(device: Caller) -> None:
    proven(device)
    assert codes(ask(device, None)) == {
        "pull_capability_holds",
        "pull_capability_fresh",
        "pull_capability_for_model",
        "pull_capability_for_shard",
    }


def test_a_capability_that_is_not_for_this_releases_nothing(house: ControlPlane, device: Caller) -> None:
    proven(device)
    other = house.enrol("consumer")
    asked = device.capability("inference", inference={"prompt_tokens": 1, "max_output_tokens": 1}).expect(201)
    for token in (pull(other), asked["access_token"], "a.b.c", pull(device)[:-4] + "AAAA"):
        assert "pull_capability_holds" in codes(ask(device, token))
    assert codes(ask(device, pull(device), purpose="training")) == {"pull_capability_for_model"}


def test_a_revoked_capability_releases_nothing(house: ControlPlane, device: Caller, keeper: Caller) -> None:
    proven(device)
    token = pull(device)
    assert ask(device, token).status == 200
    OAuthClient(device).send("/oauth/revoke", {"token": token}).expect(200)
    assert "pull_capability_holds" in codes(ask(device, token))


def test_a_device_that_is_set_apart_gets_no_key(house: ControlPlane, device: Caller, keeper: Caller) -> None:
    proven(device)
    token = pull(device)
    keeper.post(f"/v1/devices/{device.id}/status", {"status": "quarantined", "reason": "a test"}).expect(200)
    assert "subject_active" in codes(ask(device, token))


async def set_apart(plane: ControlPlane, device: Caller) -> None:
    await plane.services.registry.set_status(device.id, "quarantined")


async def ended(plane: ControlPlane, device: Caller) -> None:
    await plane.services.revocation.revoker.revoke_subject(device.id, reason="a test")


async def shown_another_key(plane: ControlPlane, device: Caller) -> None:
    [shown] = await plane.store.attestations.of(device.id)
    changed = {"decision_id": "dec-1", "release_key": PrivateReleaseKey.generate().public}
    assert await plane.store.attestations.keep(device.id, device.key.thumbprint, shown.model_copy(update=changed))


async def contradicted(plane: ControlPlane, device: Caller) -> None:
    [shown] = await plane.store.attestations.of(device.id)
    changed = {"decision_id": "dec-1", "level": "none", "reference": "", "release_key": None, "result": ""}
    assert await plane.store.attestations.withdraw(device.id, device.key.thumbprint, shown.model_copy(update=changed))


async def withdrawn(plane: ControlPlane, _device: Caller) -> None:
    assert await plane.services.confidentiality.secrets.withdraw(WEIGHTS)


@pytest.mark.parametrize("change", [set_apart, ended, shown_another_key, contradicted, withdrawn])
def test_what_changes_while_policy_is_asked_releases_nothing(
    house: ControlPlane,
    device: Caller,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[ControlPlane, Caller], Awaitable[None]],
) -> None:
    class Overtaken:
        async def decide(self, *asked: Any) -> Decision:
            decision = await decider.decide(*asked)
            assert decision.allowed
            await change(house, device)
            return decision

    proven(device)
    token, decider = pull(device), house.services.confidentiality.key_release._decider
    with monkeypatch.context() as patch:
        patch.setattr(house.services.confidentiality.key_release, "_decider", Overtaken())
        refused = ask(device, token)
    house.run(house.services.confidentiality.secrets.register(WEIGHTS, VALUE, "dev-keeper"))
    assert (refused.status, refused.kind) == (503, "unavailable")
    assert b"ciphertext" not in refused.body


def test_what_nobody_registered_or_policy_does_not_name_is_released_to_nobody(device: Caller, keeper: Caller) -> None:
    proven(device)
    assert "secret_known" in codes(ask(device, None, "voices-2026", "training"))
    keeper.post("/v1/secrets", {"id": "unheard-of"}).expect(201)
    assert "secret_known" in codes(ask(device, None, "unheard-of"))


def test_a_secret_is_registered_once_listed_without_its_value_and_withdrawn_for_good(
    device: Caller, keeper: Caller
) -> None:
    value = secrets.token_bytes(48)
    made = keeper.post("/v1/secrets", {"id": "mine/one", "secret": text(value)}).expect(201)
    assert made["size_bytes"] == 48
    assert made["registered_by"] == keeper.id
    assert keeper.post("/v1/secrets", {"id": "mine/one"}).status == 409
    listed = keeper.get("/v1/secrets")
    assert made in listed.expect(200)["secrets"]
    assert text(value).encode() not in listed.body
    assert keeper.plane.call("DELETE", at("mine/one"), key=keeper.key).status == 204
    assert keeper.plane.call("DELETE", at("mine/one"), key=keeper.key).status == 404
    assert made not in keeper.get("/v1/secrets").expect(200)["secrets"]


@pytest.mark.parametrize("value", ["A" * 21 + "B", "A" * 25, "A" * 21, f"{'A' * 43}=", "A" * 687])
def test_what_is_no_secret_is_not_kept(keeper: Caller, value: str) -> None:
    refused = keeper.post("/v1/secrets", {"id": "mine/bad", "secret": value})
    assert (refused.status, refused.kind) in {(422, "secret-unusable"), (400, "invalid-request")}


@pytest.mark.parametrize(
    "made",
    [
        lambda: SecretRequest(id="mine/bad", secret="s3cr3t" * 200),
        lambda: ReleaseRequest(purpose="serving", capability="s3cr3t" * 20_000),
    ],
)
def test_no_error_shows_a_secret_or_a_capability(made: Callable[[], object]) -> None:
    with pytest.raises(ValidationError) as shown:
        made()
    assert "s3cr3t" not in str(shown.value)


def test_only_those_whom_policy_lets_keep_secrets(house: ControlPlane, device: Caller) -> None:
    for caller in (device, house.enrol("operator"), house.enrol("aggregator")):
        assert caller.post("/v1/secrets", {"id": "theirs"}).status == 403
        assert house.call("DELETE", at(WEIGHTS), key=caller.key).status == 403
    assert device.get("/v1/secrets").status == 403
    assert house.enrol("operator").get("/v1/secrets").status == 200
    assert house.stranger().post(at(WEIGHTS, "/release"), {"purpose": "serving"}).status == 401


def test_nothing_of_a_secret_lies_in_the_store_in_the_clear(house: ControlPlane) -> None:
    kept = b"".join(path.read_bytes() for path in house.state.glob("ztfm.db*"))
    assert WEIGHTS.encode() in kept
    for hidden in (VALUE, text(VALUE).encode()):
        assert hidden not in kept


def test_a_device_that_asks_again_and_again_waits() -> None:
    with running(limits=EdgeLimits(release_rate=0.01, release_burst=2)) as plane:
        device = plane.enrol("consumer")
        assert [ask(device, None).status for _ in range(3)] == [403, 403, 429]
        assert plane.metric("ztfm_secret_releases_total", outcome="limited") == 1
