"""A device joins by what an issuer or its manufacturer says of its key, at a real control plane with real OPA."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from adapters.presenting import Credential
from controlplane.identifiers.didkey import did_key
from controlplane.jose.keys import DeviceKey, load_public
from controlplane.parts import StartFailed
from examples.enrolment import issuer
from tests.controlplane.api.accepting import accepting, manufacturers
from tests.controlplane.identity.credentials.factory import Authority, pem
from tests.controlplane.identity.credentials.world import ISSUER, MAKER
from tests.support import ControlPlane, Reply, running

ROOT = Authority("Example Devices root")
LINE = Authority("Example Devices line 7", ROOT, length=0)
ASKED = {"roles": ["trainer"], "segment": "homes"}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    folder = tmp_path_factory.mktemp("evidence")
    with running(policies=accepting(folder, did_key(ISSUER)), manufacturers_dir=manufacturers(folder, ROOT)) as plane:
        yield plane


def credential(key: DeviceKey, **more: Any) -> str:
    options = {"claims": {"model": "hub-3"}, **more}
    return issuer.issue(MAKER, load_public(key.public), options.pop("claims"), **options)


def present(plane: ControlPlane, key: DeviceKey, text: str | None = None, **changed: Any) -> Reply:
    audience = changed.pop("audience", plane.url)
    shown = Credential(text or credential(key)).present(key, audience, plane.clock())
    plane.shown.append(shown)
    return plane.call("POST", "/v1/devices", {"credential": shown, **ASKED, **changed}, key=key)


def show(plane: ControlPlane, key: DeviceKey, *chain: str, **changed: Any) -> Reply:
    sent = list(chain) or pem(LINE.device(key), LINE.certificate)
    return plane.call("POST", "/v1/devices", {"certificates": sent, **ASKED, **changed}, key=key)


def codes(reply: Reply) -> set[str]:
    assert reply.kind == "denied"
    return {reason["code"] for reason in reply.json["reasons"]}


def test_a_device_joins_with_an_issuers_credential(here: ControlPlane) -> None:
    key = DeviceKey.generate()
    before = here.metric("ztfm_enrolments_total", evidence="credential", outcome="allow")
    assert present(here, key).expect(201)["id"] == f"dev-{key.thumbprint}"
    assert here.metric("ztfm_enrolments_total", evidence="credential", outcome="allow") == before + 1
    assert here.run(here.services.registry.get(f"dev-{key.thumbprint}")) is not None


def test_a_device_joins_with_its_manufacturers_certificates(here: ControlPlane) -> None:
    key = DeviceKey.generate()
    assert show(here, key).expect(201)["segment"] == "homes"
    assert here.metric("ztfm_enrolments_total", evidence="certificate", outcome="allow") >= 1


def test_what_was_decided_on_is_in_the_record_and_nothing_that_can_be_used_again(here: ControlPlane) -> None:
    key = DeviceKey.generate()
    text = credential(key, claims={"model": "hub-2"}, disclosable={"serial": "0042"})
    decision = present(here, key, text).json["decision_id"]
    record = here.run(here.store.decisions.get(decision)) or b""
    fact = json.loads(record)["facts"]["context"]["credential"]
    assert (fact["valid"], fact["claims"]) == (True, {"model": "hub-2", "serial": "0042"})
    assert not any(part.encode() in record for part in text.split("~") if part)
    assert here.shown[-1].rpartition("~")[2].encode() not in record


@pytest.mark.parametrize(
    ("more", "code", "cause"),
    [
        ({"claims": {"model": "hub-2"}}, "credential_claims", ""),
        ({"vct": "https://issuer.example/other"}, "credential_accepted", ""),
        ({"exp": 1}, "credential_unexpired", "it has expired"),
        ({"iat": 4_102_444_800}, "credential_valid", "it is not valid yet"),
        ({"iat": 1}, "credential_fresh", ""),
        ({"status": {"status_list": {"idx": 0, "uri": "x"}}}, "credential_unrevoked", ""),
        ({"cnf": {"jwk": ISSUER.model_dump()}}, "credential_bound", "it is for another key"),
        ({"issuer": "did:web:issuer.invalid"}, "credential_accepted", "policy accepts nothing from its issuer"),
        ({"issuer": did_key(DeviceKey.generate().public)}, "credential_accepted", "policy accepts nothing"),
    ],
)
def test_a_credential_that_does_not_suffice_is_refused_with_its_reason(
    here: ControlPlane, more: dict[str, Any], code: str, cause: str
) -> None:
    key = DeviceKey.generate()
    reply = present(here, key, credential(key, **more))
    assert code in codes(reply)
    assert cause in reply.json["detail"]
    assert here.run(here.services.registry.get(f"dev-{key.thumbprint}")) is None


def test_a_credential_is_presented_to_this_control_plane(here: ControlPlane) -> None:
    before = here.metric("ztfm_enrolment_evidence_refused_total", evidence="credential", cause="binding_wrong_audience")
    reply = present(here, DeviceKey.generate(), audience="https://other.example")
    assert codes(reply) == {"credential_bound", "credential_valid"}
    assert "another audience" in reply.json["detail"]
    after = here.metric("ztfm_enrolment_evidence_refused_total", evidence="credential", cause="binding_wrong_audience")
    assert after == before + 1


def test_a_stolen_presentation_is_worth_nothing(here: ControlPlane) -> None:
    key = DeviceKey.generate()
    shown = Credential(credential(key)).present(key, here.url, here.clock())
    thief = here.call("POST", "/v1/devices", {"credential": shown, **ASKED}, key=DeviceKey.generate())
    assert "credential_bound" in codes(thief)
    assert here.call("POST", "/v1/devices", {"credential": shown, **ASKED}, key=key).status == 201
    again = here.call("POST", "/v1/devices", {"credential": shown, **ASKED}, key=key)
    assert "was used before" in again.json["detail"]


def test_of_one_presentation_that_is_sent_at_once_one_counts(here: ControlPlane) -> None:
    key = DeviceKey.generate()
    shown = Credential(credential(key)).present(key, here.url, here.clock())
    with ThreadPoolExecutor(8) as threads:
        asked = [
            threads.submit(here.call, "POST", "/v1/devices", {"credential": shown, **ASKED}, key=key) for _ in range(8)
        ]
    assert sorted(one.result().status for one in asked) == [201] + [403] * 7


def test_of_many_presentations_of_one_key_one_counts(here: ControlPlane) -> None:
    key = DeviceKey.generate()
    text, chain = credential(key), pem(LINE.device(key), LINE.certificate)
    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(present, here, key, text) for _ in range(4)]
        asked += [threads.submit(show, here, key, *chain) for _ in range(4)]
    assert sorted(one.result().status for one in asked) == [201] + [409] * 7


def test_nobody_joins_as_more_than_the_issuer_may_say(here: ControlPlane) -> None:
    key = DeviceKey.generate()
    assert codes(present(here, key, roles=["aggregator"], segment="core")) == {"roles_granted", "segment_granted"}
    assert codes(present(here, key, roles=["trainer", "operator"])) == {"roles_fit_segment", "roles_granted"}


def test_where_policy_wants_a_proven_platform_evidence_alone_is_not_enough(here: ControlPlane) -> None:
    key = DeviceKey.generate()
    reply = show(here, key, roles=["consumer"], segment="guests")
    assert codes(reply) == {"attestation_sufficient"}


def test_a_certificate_that_does_not_suffice_is_refused_with_its_reason(here: ControlPlane) -> None:
    key, stranger = DeviceKey.generate(), Authority("Example Devices root")
    for chain, cause, code in [
        (pem(stranger.device(key)), "root of an accepted manufacturer", "certificate_accepted"),
        (pem(LINE.device(key)), "root of an accepted manufacturer", "certificate_accepted"),
        (pem(LINE.device(DeviceKey.generate()), LINE.certificate), "another key", "certificate_bound"),
        (["x"], "no X.509 certificate", "certificate_valid"),
        (pem(LINE.device(key, number="0013"), LINE.certificate), "", "certificate_unrefused"),
    ]:
        reply = show(here, key, *chain)
        assert code in codes(reply)
        assert cause in reply.json["detail"]
    assert here.metric("ztfm_enrolment_evidence_refused_total", evidence="certificate", cause="wrong_key") >= 1


@pytest.mark.parametrize(
    "shown", [{}, {"token": "t", "credential": "c~"}, {"credential": "c~", "certificates": ["c"]}, {"certificates": []}]
)
def test_more_or_less_than_one_kind_of_evidence_is_no_request(here: ControlPlane, shown: dict[str, Any]) -> None:
    reply = here.call("POST", "/v1/devices", {**ASKED, **shown}, key=DeviceKey.generate())
    assert reply.kind == "invalid-request"


def test_a_token_lets_a_device_in_as_before(here: ControlPlane) -> None:
    assert here.enrol("consumer").id.startswith("dev-")


def test_as_shipped_nobody_is_accepted(plane: ControlPlane) -> None:
    key = DeviceKey.generate()
    assert "credential_accepted" in codes(present(plane, key))
    assert "certificate_accepted" in codes(show(plane, key))


def test_two_control_planes_on_one_store_enrol_a_key_once(tmp_path: Path) -> None:
    database = f"sqlite+aiosqlite:///{tmp_path / 'shared.db'}"
    shared: dict[str, Any] = {
        "database_url": database,
        "sealing_key_file": tmp_path / "sealing.key",
        "organisation_key_file": tmp_path / "organisation.key",
        "policy_key_file": tmp_path / "policy.key",
        "policies": accepting(tmp_path, did_key(ISSUER)),
        "manufacturers_dir": manufacturers(tmp_path, ROOT),
    }
    key = DeviceKey.generate()
    text = credential(key)
    with running(**shared) as one, running(**shared) as other, ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(present, plane, key, text) for plane in (one, other) for _ in range(3)]
        asked += [threads.submit(show, plane, key) for plane in (one, other)]
        assert sorted(answer.result().status for answer in asked) == [201] + [409] * 7


def test_a_folder_of_manufacturers_that_cannot_be_used_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "maker.pem").write_text("nothing")
    with pytest.raises(StartFailed, match="ZTFM_MANUFACTURERS_DIR"), running(manufacturers_dir=tmp_path):
        pass
