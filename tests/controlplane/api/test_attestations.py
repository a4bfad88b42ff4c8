"""Attestation at a real control plane: a challenge is answered once, and what is proven is what policy makes of it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from controlplane.attestation.binding import binding
from controlplane.attestation.results import read_result
from controlplane.contracts.attestation import ReleaseKey
from controlplane.jose.keys import DeviceKey, load_public
from tests.clocks import EarlyClock
from tests.controlplane.api.test_identities import rotate
from tests.controlplane.attestation.lab import RUNS, Lab, challenged, running_lab, show
from tests.support import Caller, ControlPlane, Reply

LAB = Lab()
OTHER = "cd" * 32
RELEASE = ReleaseKey(suite="x25519", key="A" * 43)


@pytest.fixture(scope="module")
def clock() -> EarlyClock:
    return EarlyClock()


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory, clock: EarlyClock) -> Iterator[ControlPlane]:
    with running_lab(LAB, tmp_path_factory.mktemp("lab"), clock=clock) as found:
        yield found


@pytest.fixture
def device(plane: ControlPlane) -> Caller:
    return plane.enrol("trainer")


def level(device: Caller) -> str:
    return str(device.get(f"/v1/devices/{device.id}").expect(200)["attestation"]["level"])


def codes(reply: Reply) -> set[str]:
    return {reason["code"] for reason in reply.expect(403)["reasons"]}


def test_evidence_that_agrees_proves_a_level_that_decisions_read(plane: ControlPlane, device: Caller) -> None:
    answer = LAB.show(device, challenged(device)).expect(201)
    assert (answer["level"], answer["reference"], answer["kind"]) == ("hardware", "bench", "lab")
    assert answer["expires_at"] == pytest.approx(plane.clock() + 3600, abs=5)
    found = device.get(f"/v1/devices/{device.id}").expect(200)
    assert found["attestation"] == {name: answer[name] for name in ("level", "verified_at", "expires_at")}
    denied = device.capability("model_access", purpose="training").json
    facts = plane.run(plane.services.transparency.log.get(denied["decision_id"])).facts  # type: ignore[union-attr]
    seen: Any = facts["subject"]
    assert seen["properties"]["attestation"]["level"] == "hardware"
    assert 0 <= seen["properties"]["attestation"]["age_seconds"] < 30


def test_the_result_is_signed_and_says_the_same(plane: ControlPlane, device: Caller) -> None:
    made = challenged(device)
    answer = LAB.show(device, made, release_key=RELEASE).expect(201)
    keys = {key.kid: load_public(key.public) for key in plane.services.capabilities.keys.ring.verifying()}
    claims = read_result(answer["result"], keys, plane.url, plane.clock())
    assert (claims.sub, claims.jti, claims.eat_nonce) == (device.id, answer["decision_id"], made["nonce"])
    assert (claims.iat, claims.exp) == (int(answer["verified_at"]), answer["expires_at"])
    assert claims.cnf.jkt == device.key.thumbprint
    assert claims.ztfm_release_key is not None
    assert (claims.appraisal.ztfm_level, claims.appraisal.ear_status) == ("hardware", "affirming")


def test_a_challenge_is_answered_once_however_many_try_at_once(plane: ControlPlane, device: Caller) -> None:
    made = challenged(device)
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: LAB.show(device, made), range(8)))
    assert sorted(reply.status for reply in replies) == [201] + [403] * 7
    assert all("challenge_fresh" in codes(reply) for reply in replies if reply.status == 403)
    assert level(device) == "hardware", "what is not looked at takes nothing away"


def test_only_whom_it_was_made_for_answers_it(plane: ControlPlane, device: Caller) -> None:
    made, other = challenged(device), plane.enrol("trainer")
    assert "challenge_fresh" in codes(LAB.show(other, made))
    assert level(other) == "none"
    assert LAB.show(device, made).status == 201, "another's try does not use it up"


def test_it_is_answered_in_time(device: Caller, clock: EarlyClock) -> None:
    made = challenged(device)
    assert made["expires_at"] == pytest.approx(clock() + 120, abs=5)
    clock.ahead += 121
    assert "challenge_fresh" in codes(LAB.show(device, made))


def test_of_open_challenges_the_newest_few_count(device: Caller) -> None:
    made = [challenged(device) for _ in range(5)]
    assert "challenge_fresh" in codes(LAB.show(device, made[0]))
    assert {LAB.show(device, one).status for one in made[1:]} == {201}


@pytest.mark.parametrize("name", ["x", "chal-" + "0" * 32, "chal-1--OR-1:1"])
def test_what_is_no_challenge_is_answered_by_nothing(device: Caller, name: str) -> None:
    assert codes(show(device, name, LAB.evidence(bytes(32)))) >= {"challenge_fresh", "evidence_verified"}


def test_evidence_is_bound_to_challenge_key_and_release_key(plane: ControlPlane, device: Caller) -> None:
    mine, another = device.key.thumbprint, challenged(device)["nonce"]
    for nonce, mark, release_key in (
        (another, mine, None),
        (None, DeviceKey.generate().thumbprint, None),
        (None, mine, RELEASE),
    ):
        made = challenged(device)
        bound = binding(nonce or made["nonce"], mark, release_key)
        refused = show(device, made["id"], LAB.evidence(bound))
        assert codes(refused) == {"evidence_bound"}
        [difference] = refused.json["reasons"][0]["differences"]
        wanted = [binding(made["nonce"], mine).hex()]
        assert difference == {"claim": "bound", "seen": bound.hex(), "wanted": wanted}
    made = challenged(device)
    plain = LAB.evidence(binding(made["nonce"], device.key.thumbprint))
    assert codes(show(device, made["id"], plain, release_key=RELEASE)) == {"evidence_bound"}
    assert level(device) == "none"


def test_a_tampered_device_loses_what_it_had_proven_and_is_told_why(plane: ControlPlane, device: Caller) -> None:
    LAB.show(device, challenged(device)).expect(201)
    refused = LAB.show(device, challenged(device), measurements={"program": OTHER})
    assert codes(refused) == {"measurements_match"}
    [reason] = refused.json["reasons"]
    assert reason["differences"] == [{"claim": "measurements.program", "seen": OTHER, "wanted": [RUNS]}]
    assert level(device) == "none"
    record = plane.run(plane.services.transparency.log.get(refused.json["decision_id"]))
    assert record is not None
    assert record.obligations.withdraw_attestation
    assert record.reasons[0].differences[0].wanted == [RUNS]
    [kept] = device.get(f"/v1/devices/{device.id}/attestation").expect(200)["results"]
    assert (kept["level"], kept["decision_id"], kept["result"]) == ("none", record.id, "")
    assert LAB.show(device, challenged(device)).status == 201, "once it is as it should be, it proves so"


@pytest.mark.parametrize(
    ("changes", "code", "claim", "seen", "wanted"),
    [
        ({"versions": {"firmware": 6}}, "versions_sufficient", "versions.firmware", "6", "at least 7"),
        ({"attributes": {"mode": "test"}}, "attributes_match", "attributes.mode", "test", "production"),
        ({"status": "out_of_date"}, "status_accepted", "status", "out_of_date", "up_to_date"),
        ({"debug": True}, "debug_off", "debug", "true", "false"),
    ],
)
def test_a_denial_names_claim_value_and_what_was_wanted(
    device: Caller, changes: dict[str, Any], code: str, claim: str, seen: str, wanted: str
) -> None:
    refused = LAB.show(device, challenged(device), **changes)
    assert codes(refused) == {code}
    assert refused.json["reasons"][0]["differences"] == [{"claim": claim, "seen": seen, "wanted": [wanted]}]


def test_evidence_that_does_not_verify_takes_nothing_away(device: Caller) -> None:
    LAB.show(device, challenged(device)).expect(201)
    forger = Lab()
    refused = forger.show(device, challenged(device), measurements={"program": OTHER})
    assert codes(refused) == {"evidence_verified", "evidence_bound"}
    assert "no key of the lab signed it" in refused.json["detail"]
    assert refused.json["reasons"][1]["differences"][0]["seen"] == "untrusted"
    assert level(device) == "hardware"


@pytest.mark.parametrize(
    "evidence",
    [
        {"statement": "e30"},
        {"other": "e30="},
        {"statement": "A" * 6000, "signature": "AA=="},
        {"statement": "A", "signature": "AAAA"},
        LAB.signed(b'{"fault": true}'),
        LAB.signed(b"no JSON"),
    ],
)
def test_evidence_of_another_form_is_refused(device: Caller, evidence: dict[str, str]) -> None:
    assert "evidence_verified" in codes(show(device, challenged(device)["id"], evidence))


def test_a_kind_that_nobody_verifies_here_is_said_with_those_that_are(device: Caller) -> None:
    for path, document in (
        ("/v1/attestations/challenges", {"kind": "sgx"}),
        ("/v1/attestations", {"challenge": "chal-1", "kind": "sgx", "evidence": {"quote": "AAAA"}}),
    ):
        refused = device.post(path, document)
        assert (refused.status, refused.kind) == (422, "evidence-unusable")
        assert "lab" in refused.json["detail"]


def test_a_release_key_is_one_of_its_suite(device: Caller) -> None:
    for key in ("A" * 44, "A" * 42 + "B", "A" * 1621):
        odd, evidence = ReleaseKey(suite="x25519", key=key), LAB.evidence(bytes(32))
        refused = show(device, challenged(device)["id"], evidence, release_key=odd)
        assert (refused.status, refused.kind) == (422, "evidence-unusable")


def test_no_decision_relies_on_it_longer_than_it_counts(plane: ControlPlane, device: Caller, clock: EarlyClock) -> None:
    LAB.show(device, challenged(device)).expect(201)
    clock.ahead += 3601
    denied = device.capability("model_access", purpose="training").json
    facts: Any = plane.run(plane.services.transparency.log.get(denied["decision_id"])).facts  # type: ignore[union-attr]
    assert facts["subject"]["properties"]["attestation"] == {"level": "none"}
    assert device.get(f"/v1/devices/{device.id}/attestation").expect(200)["attestation"] == {"level": "none"}


def test_with_another_key_everything_is_to_be_proven_anew(plane: ControlPlane, device: Caller) -> None:
    open_one = challenged(device)
    LAB.show(device, challenged(device)).expect(201)
    after = rotate(device)
    assert level(after) == "none"
    assert after.get(f"/v1/devices/{device.id}/attestation").expect(200)["results"] == []
    assert "challenge_fresh" in codes(LAB.show(after, open_one))


def test_who_is_set_apart_proves_nothing(plane: ControlPlane, device: Caller) -> None:
    made, boss = challenged(device), plane.enrol("administrator")
    boss.post(f"/v1/devices/{device.id}/status", {"status": "quarantined", "reason": "odd"}).expect(200)
    assert codes(LAB.show(device, made)) == {"subject_active"}
    assert device.post("/v1/attestations/challenges", {"kind": "lab"}).status == 403


def test_who_may_read_what_was_proven(plane: ControlPlane, device: Caller) -> None:
    answer = LAB.show(device, challenged(device), release_key=RELEASE).expect(201)
    path = f"/v1/devices/{device.id}/attestation"
    for reader in (device, plane.enrol("operator"), plane.enrol("administrator")):
        found = reader.get(path).expect(200)
        assert found["subject"] == device.id
        assert found["results"][0]["result"] == answer["result"]
        assert found["results"][0]["release_key"] == RELEASE.model_dump()
    for stranger in (plane.enrol("trainer"), plane.enrol("gateway")):
        assert stranger.get(path).status == 403
    assert plane.enrol("operator").get("/v1/devices/dev-unheard-of/attestation").status == 404
    assert plane.enrol("operator").get("/v1/devices/%20/attestation").status == 404


def test_what_is_counted(plane: ControlPlane, device: Caller) -> None:
    def counts() -> tuple[float, ...]:
        asked = {"kind": "other"}
        return (
            plane.metric("ztfm_attestation_challenges_total", **asked),
            *(plane.metric("ztfm_attestations_total", outcome=one, **asked) for one in ("accepted", "contradicted")),
            plane.metric("ztfm_attestation_evidence_refused_total", cause="untrusted", **asked),
            plane.metric("ztfm_attestation_verify_seconds_count", **asked),
        )

    before = counts()
    LAB.show(device, challenged(device))
    LAB.show(device, challenged(device), debug=True)
    Lab().show(device, challenged(device))
    assert tuple(now - was for now, was in zip(counts(), before, strict=True)) == (3, 1, 1, 1, 2)


def test_nothing_of_the_evidence_is_logged(
    plane: ControlPlane, device: Caller, capfd: pytest.CaptureFixture[str]
) -> None:
    made = challenged(device)
    LAB.show(device, made, release_key=RELEASE)
    LAB.show(device, challenged(device), debug=True)
    show(device, challenged(device)["id"], LAB.signed(b'{"fault": true}'))
    said = "".join(capfd.readouterr())
    assert "verifier_failed" in said
    assert "RuntimeError" in said
    assert "the verifier has a bug" not in said, "what a fault says may be what the evidence says"
    assert made["nonce"] not in said
    assert RELEASE.key not in said


def test_too_many_challenges_wait_before_policy_is_asked(plane: ControlPlane) -> None:
    device = plane.enrol("trainer")

    def decided() -> float:
        samples = plane.app_metrics().items()
        return sum(value for (name, _), value in samples if name == "ztfm_decisions_total")

    before = decided()
    asked = [device.post("/v1/attestations/challenges", {"kind": "lab"}).status for _ in range(40)]
    assert 429 in asked
    assert asked[:25] == [201] * 25
    assert decided() - before == asked.count(201)


def test_where_it_cannot_be_said_whether_it_verifies_nothing_is_decided(
    plane: ControlPlane, device: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    LAB.show(device, challenged(device)).expect(201)
    made = challenged(device)
    with monkeypatch.context() as patch:
        patch.setattr(plane.services.confidentiality.attestation.verifiers, "_fault", "a root is no certificate")
        refused = LAB.show(device, made, debug=True)
        assert (refused.status, refused.kind) == (503, "unavailable")
        assert "Retry-After" in refused.headers
        assert "a root is no certificate" in refused.json["detail"]
        assert device.post("/v1/attestations/challenges", {"kind": "lab"}).status == 503
    assert level(device) == "hardware"
    assert LAB.show(device, made).status == 201, "the challenge was not used up"


def test_what_was_given_out_for_what_counts_no_more_is_void(plane: ControlPlane) -> None:
    device, gateway = plane.enrol("consumer"), plane.enrol("gateway")

    def is_active(token: str) -> bool:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        asked = plane.call("POST", "/oauth/introspect", body=b"token=" + token.encode(), key=gateway.key, headers=form)
        return bool(asked.expect(200)["active"])

    def given() -> str:
        size = {"prompt_tokens": 1, "max_output_tokens": 1}
        token = device.capability("inference", audience="gateway-1", inference=size).expect(201)["access_token"]
        return str(token)

    unproven = given()
    LAB.show(device, challenged(device), debug=True)
    assert is_active(unproven), "nothing was proven, and nothing is taken away"
    LAB.show(device, challenged(device)).expect(201)
    held = given()
    assert is_active(held)
    LAB.show(device, challenged(device), debug=True)
    assert not is_active(held)
    assert device.get(f"/v1/devices/{device.id}").expect(200)["status"] == "active"


def test_whether_it_is_the_platform_that_it_was_is_on_record(plane: ControlPlane, device: Caller) -> None:
    def platform(reply: Reply) -> Any:
        record: Any = plane.run(plane.services.transparency.log.get(reply.json["decision_id"]))
        return record.facts["context"]["evidence"].get("platform")

    assert platform(LAB.show(device, challenged(device))) == "first"
    assert platform(LAB.show(device, challenged(device))) == "same"
    assert platform(LAB.show(device, challenged(device), platform="0bad")) == "other"
    assert platform(Lab().show(device, challenged(device))) is None


def test_one_platform_does_not_vouch_for_many_devices(plane: ControlPlane, device: Caller) -> None:
    own: dict[str, Any] = {"platform": "5ba5", "attributes": {"mode": "single"}}
    other = plane.enrol("trainer")
    LAB.show(device, challenged(device), **own).expect(201)
    LAB.show(device, challenged(device), **own).expect(201)
    refused = LAB.show(other, challenged(other), **own)
    assert codes(refused) == {"platform_unshared"}
    assert refused.json["reasons"][0]["differences"] == [
        {"claim": "platform.others", "seen": "1", "wanted": ["at most 0"]}
    ]
    assert level(device) == "hardware", "whoever relays it takes nothing away"
    boss = plane.enrol("administrator")
    boss.post(f"/v1/devices/{device.id}/status", {"status": "revoked", "reason": "replaced"}).expect(200)
    LAB.show(other, challenged(other), **own).expect(201)
