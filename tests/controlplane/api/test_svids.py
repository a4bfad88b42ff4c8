"""SPIFFE documents at a real control plane: who gets them, what they say, and that each is taken for itself alone."""

import ssl
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from adapters.svid import SpiffeId, SvidRefused, TrustBundle, TrustDomain, verify_jwt_svid, verify_peer
from adapters.svid.identity import fresh_key, request_for
from controlplane.api.svids import sequence
from controlplane.capabilities.keyring import VERIFYING, stand
from controlplane.capabilities.refusals import Refused
from controlplane.capabilities.verification import CapabilityVerifier
from controlplane.contracts.keys import KeptKey
from controlplane.identity.authorities import OVERLAP_SECONDS, RETIRED_SECONDS
from controlplane.jose.jws import parse, parse_object
from tests.clocks import START, EarlyClock
from tests.support import Caller, ControlPlane, running

DOMAIN = TrustDomain("homes.example")
BUNDLE = "/.well-known/spiffe-bundle"


@pytest.fixture(scope="module")
def clock() -> EarlyClock:
    return EarlyClock()


@pytest.fixture(scope="module")
def homes(clock: EarlyClock) -> Iterator[ControlPlane]:
    with running(clock=clock, trust_domain="homes.example") as plane:
        yield plane


@pytest.fixture
def trainer(homes: ControlPlane) -> Caller:
    return homes.enrol("trainer")


def bundle_of(plane: ControlPlane) -> TrustBundle:
    return TrustBundle.parse(plane.call("GET", BUNDLE).body, DOMAIN)


def name_of(device: Caller) -> SpiffeId:
    return SpiffeId.of(DOMAIN, "device", device.id)


def der(issued: Any) -> bytes:
    return x509.load_pem_x509_certificate(issued["certificate"].encode()).public_bytes(Encoding.DER)


def certified(device: Caller, **asked: Any) -> Any:
    return device.post("/v1/certificates", asked).expect(201)


def token(device: Caller, audience: str = "aggregator-1", **asked: Any) -> str:
    svid: str = device.post("/v1/svids/jwt", {"audience": [audience], **asked}).expect(201)["svid"]
    return svid


def test_a_workload_gets_an_x509_svid_of_its_own_name(homes: ControlPlane, trainer: Caller) -> None:
    issued = certified(trainer)
    assert issued["spiffe_id"] == f"spiffe://homes.example/device/{trainer.id}"
    assert verify_peer([der(issued)], bundle_of(homes), {name_of(trainer)}, homes.clock()) == name_of(trainer)
    assert 3590 < issued["expires_at"] - homes.clock() <= 3600, "an hour where nothing is asked for"


def test_a_key_of_the_workloads_own_is_certified_and_says_nothing_here(homes: ControlPlane, trainer: Caller) -> None:
    key = fresh_key()
    issued = certified(trainer, csr=request_for(key))
    certificate = x509.load_pem_x509_certificate(issued["certificate"].encode())
    assert certificate.public_key() == key.public_key()
    assert verify_peer([der(issued)], bundle_of(homes), {name_of(trainer)}, homes.clock()) == name_of(trainer)


def test_only_the_key_of_a_request_counts(homes: ControlPlane, trainer: Caller) -> None:
    key = fresh_key()
    asked = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name.from_rfc4514_string("CN=administrator"))
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier("spiffe://evil/a")]), critical=True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    issued = certified(trainer, csr=asked.public_bytes(Encoding.PEM).decode())
    certificate = x509.load_pem_x509_certificate(issued["certificate"].encode())
    assert certificate.subject.rfc4514_string() == f"CN={trainer.id}"
    assert verify_peer([der(issued)], bundle_of(homes), {name_of(trainer)}, homes.clock()) == name_of(trainer)


def test_a_request_that_is_none_is_refused(trainer: Caller) -> None:
    sound = request_for(fresh_key())
    large = rsa.generate_private_key(65_537, 2048)
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    for odd in (
        "x",
        sound.replace("REQUEST", "RUBBISH"),
        sound[:40] + sound[60:],
        builder.sign(large, hashes.SHA256()).public_bytes(Encoding.PEM).decode(),
        builder.sign(ec.generate_private_key(ec.SECP384R1()), hashes.SHA256()).public_bytes(Encoding.PEM).decode(),
        forged_request(),
        *oddly_signed(),
    ):
        answer = trainer.post("/v1/certificates", {"csr": odd})
        assert (answer.status, answer.kind) == (422, "certificate-request-refused")


def oddly_signed() -> list[str]:
    """Requests whose signature names an algorithm that is unknown, or of another kind of key."""
    sound = x509.load_pem_x509_csr(request_for(fresh_key()).encode()).public_bytes(Encoding.DER)
    ecdsa_sha256 = bytes.fromhex("06082a8648ce3d040302")
    assert sound.count(ecdsa_sha256) == 1
    others = (bytes.fromhex("06082a8648ce3d040309"), bytes.fromhex("06082a8648ce3d030107"))
    changed = [sound.replace(ecdsa_sha256, other) for other in others]
    return [ssl.DER_cert_to_PEM_cert(der).replace("CERTIFICATE", "CERTIFICATE REQUEST") for der in changed]


def forged_request() -> str:
    """A request for the key of somebody else, which did not sign it."""
    mine, theirs = (x509.load_pem_x509_csr(request_for(fresh_key()).encode()) for _ in range(2))
    at = [found.public_bytes(Encoding.DER) for found in (mine, theirs)]
    form = PublicFormat.UncompressedPoint
    point = [found.public_key().public_bytes(Encoding.X962, form) for found in (mine, theirs)]
    forged = at[0].replace(point[0], point[1])
    return x509.load_der_x509_csr(forged).public_bytes(Encoding.PEM).decode()


def test_a_token_says_who_it_is_to_its_audience(homes: ControlPlane, trainer: Caller) -> None:
    issued = trainer.post("/v1/svids/jwt", {"audience": ["aggregator-1"], "lifetime_seconds": 60.0}).expect(201)
    found = verify_jwt_svid(issued["svid"], bundle_of(homes), "aggregator-1", homes.clock)
    assert (found.subject, found.expires_at) == (name_of(trainer), issued["expires_at"])
    assert 55 < issued["expires_at"] - homes.clock() <= 60
    with pytest.raises(SvidRefused, match="wrong_audience"):
        verify_jwt_svid(issued["svid"], bundle_of(homes), "gateway-1", homes.clock)


def test_policy_says_for_whom_a_roles_tokens_may_be(homes: ControlPlane, trainer: Caller) -> None:
    for audience in (["gateway-1"], ["aggregator-1", "gateway-1"], ["payroll"]):
        denied = trainer.post("/v1/svids/jwt", {"audience": audience}).expect(403)
        assert [reason["code"] for reason in denied["reasons"]] == ["audience_granted"]
    assert homes.enrol("operator").post("/v1/svids/jwt", {"audience": ["aggregator-1"]}).status == 403
    assert homes.stranger().post("/v1/svids/jwt", {"audience": ["aggregator-1"]}).status == 401


@pytest.mark.parametrize("status", ["quarantined", "revoked"])
def test_who_is_set_apart_gets_nothing_new_and_its_certificate_ends_with_its_life(
    homes: ControlPlane, clock: EarlyClock, status: str
) -> None:
    trainer, boss = homes.enrol("trainer"), homes.enrol("administrator")
    issued, bearer = certified(trainer, lifetime_seconds=300.0), token(trainer)
    boss.post(f"/v1/devices/{trainer.id}/status", {"status": status, "reason": "stolen"}).expect(200)
    assert trainer.post("/v1/certificates", {}).status == 403
    assert trainer.post("/v1/certificates", {"csr": request_for(fresh_key())}).status == 403
    assert trainer.post("/v1/svids/jwt", {"audience": ["aggregator-1"]}).status == 403
    bundle = bundle_of(homes)
    assert verify_peer([der(issued)], bundle, {name_of(trainer)}, homes.clock()) == name_of(trainer), "no list of these"
    assert verify_jwt_svid(bearer, bundle, "aggregator-1", homes.clock).subject == name_of(trainer)
    clock.ahead += 301.0
    with pytest.raises(SvidRefused, match="expired"):
        verify_peer([der(issued)], bundle, {name_of(trainer)}, homes.clock())
    with pytest.raises(SvidRefused, match="expired"):
        verify_jwt_svid(bearer, bundle, "aggregator-1", homes.clock)


def test_a_token_that_says_who_it_is_lets_nobody_do_anything(homes: ControlPlane, trainer: Caller) -> None:
    bearer = token(trainer)
    for scheme in ("Bearer", "DPoP"):
        shown = {"Authorization": f"{scheme} {bearer}"}
        assert homes.call("POST", "/v1/svids/jwt", {"audience": ["aggregator-1"]}, headers=shown).status == 401
        assert trainer.post("/v1/svids/jwt", {"audience": ["aggregator-1"]}, headers=shown).status == 401
    keys = homes.call("GET", "/.well-known/jwks.json").json
    verifier = CapabilityVerifier(keys, homes.url, "aggregator-1", homes.clock)
    proof = homes.proof(trainer.key, "POST", "/v1/infer", access_token=bearer)
    url = homes.url + "/v1/infer"
    refused = verifier.verify(bearer, proof=proof, method="POST", url=url, action="gradient_submission")
    assert isinstance(refused, Refused)
    assert refused.cause == "malformed"
    gateway = homes.enrol("gateway")
    asked = b"token=" + bearer.encode()
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    found = homes.call("POST", "/oauth/introspect", body=asked, key=gateway.key, headers=form)
    assert found.expect(200) == {"active": False}


def test_what_lets_somebody_do_something_does_not_say_who_they_are(homes: ControlPlane) -> None:
    consumer = homes.enrol("consumer")
    size = {"prompt_tokens": 1, "max_output_tokens": 1}
    granted = consumer.capability("inference", audience="gateway-1", inference=size).expect(201)["access_token"]
    parsed = parse(granted)
    assert parsed is not None
    assert parsed.header["kid"] in bundle_of(homes).keys, "the same key signs both"
    with pytest.raises(SvidRefused, match="malformed"):
        verify_jwt_svid(granted, bundle_of(homes), "gateway-1", homes.clock)
    assert parse_object(parsed.payload)["sub"] == consumer.id


def test_the_bundle_is_for_everybody_and_has_the_form_of_one(homes: ControlPlane, trainer: Caller) -> None:
    answer = homes.call("GET", BUNDLE)
    document = answer.expect(200)
    assert answer.headers["Content-Type"].startswith("application/json")
    assert homes.call("GET", BUNDLE, headers={"If-None-Match": answer.headers["ETag"]}).status == 304
    assert set(document) == {"keys", "spiffe_sequence", "spiffe_refresh_hint"}
    [authority] = [entry for entry in document["keys"] if entry["use"] == "x509-svid"]
    [signing] = [entry for entry in document["keys"] if entry["use"] == "jwt-svid"]
    assert set(authority) == {"kty", "crv", "x", "y", "use", "x5c"}
    assert set(signing) == {"kty", "crv", "x", "y", "use", "kid"}
    assert isinstance(document["spiffe_sequence"], int)
    assert "PRIVATE" not in answer.body.decode()
    assert signing["kid"] == (parse(token(trainer)) or pytest.fail()).header["kid"]


def test_authorities_are_rotated_while_everybody_goes_on(clock: EarlyClock) -> None:
    with running(clock=clock, trust_domain="homes.example") as plane:
        trainer = plane.enrol("trainer")
        before, alone = certified(trainer, lifetime_seconds=86_400.0), bundle_of(plane)
        plane.services.access.authorities.rotate(plane.clock())  # type: ignore[attr-defined]
        both = bundle_of(plane)
        assert [len(found.authorities) for found in (alone, both)] == [1, 2]
        assert (alone.sequence or 0) < (both.sequence or 0)
        verify_peer([der(certified(trainer))], alone, {name_of(trainer)}, plane.clock())
        clock.ahead += OVERLAP_SECONDS + 1
        after = certified(trainer)
        assert after["authority"].count("BEGIN CERTIFICATE") == 2
        for found in (before, after):
            verify_peer([der(found)], both, {name_of(trainer)}, plane.clock())
        with pytest.raises(SvidRefused, match="untrusted"):
            verify_peer([der(after)], alone, {name_of(trainer)}, plane.clock())
        clock.ahead += RETIRED_SECONDS
        left = bundle_of(plane)
        assert left.authorities == both.authorities[1:]
        assert (both.sequence or 0) < (left.sequence or 0)
        plane.services.access.authorities.rotate(plane.clock(), at_once=True)  # type: ignore[attr-defined]
        renewed = certified(trainer)
        with pytest.raises(SvidRefused, match="untrusted"):
            verify_peer([der(renewed)], left, {name_of(trainer)}, plane.clock())
        verify_peer([der(renewed)], bundle_of(plane), {name_of(trainer)}, plane.clock())
        assert len(bundle_of(plane).authorities) == 1


def test_keys_of_tokens_are_rotated_and_the_bundle_is_numbered_anew(clock: EarlyClock) -> None:
    with running(clock=clock, trust_domain="homes.example") as plane:
        trainer, boss = plane.enrol("trainer"), plane.enrol("administrator")
        first, old = bundle_of(plane), token(trainer)
        boss.post("/v1/keys").expect(202)
        both = bundle_of(plane)
        assert len(both.keys) == 2
        assert (first.sequence or 0) < (both.sequence or 0)
        verify_jwt_svid(old, both, "aggregator-1", plane.clock)


def test_without_its_file_nothing_is_signed_and_nothing_is_said_to_be_trusted(clock: EarlyClock) -> None:
    with running(clock=clock) as plane:
        trainer = plane.enrol("trainer")
        path = plane.state / "authority.pem"
        kept = path.read_bytes()
        for broken in (None, b"broken", kept + b"-----BEGIN X-----\n-----END X-----\n"):
            path.unlink(missing_ok=True)
            if broken is not None:
                path.touch(0o600)
                path.write_bytes(broken)
            assert trainer.post("/v1/certificates", {}).status == 503
            assert plane.call("GET", BUNDLE).status == 503
        path.write_bytes(kept)
        assert trainer.post("/v1/certificates", {}).status == 201


def test_what_was_issued_is_counted(homes: ControlPlane, trainer: Caller) -> None:
    counts = {kind: homes.metric("ztfm_svids_issued_total", kind=kind) for kind in ("x509", "jwt")}
    certified(trainer)
    token(trainer)
    assert {kind: homes.metric("ztfm_svids_issued_total", kind=kind) - was for kind, was in counts.items()} == {
        "x509": 1.0,
        "jwt": 1.0,
    }


def test_a_federation_that_names_no_trust_domain_has_its_own_name(clock: EarlyClock) -> None:
    with running(clock=clock, federation="West-Homes_1") as plane:
        assert certified(plane.enrol("trainer"))["spiffe_id"].startswith("spiffe://west-homes_1/device/dev-")


@given(st.lists(st.tuples(st.sampled_from(["rotate", "withdraw", "wait"]), st.floats(0.01, 400.0)), max_size=30))
def test_whenever_the_keys_of_the_bundle_are_others_its_number_is_larger(steps: list[tuple[str, float]]) -> None:
    now = START
    kept = [KeptKey("A" * 43, "x", "y", b"", created_at=now, signs_from=now)]
    before: tuple[set[str], int] = (set(), 0)
    for number, (step, seconds) in enumerate(steps, 1):
        now += seconds
        if step == "rotate":
            kept.append(KeptKey(f"{number:043}", "x", "y", b"", created_at=now, signs_from=now + 120.0))
        elif step == "withdraw":
            kept[-1] = replace(kept[-1], withdrawn_at=kept[-1].withdrawn_at or now)
        standings = stand(kept, now)
        verifying = {found.kid for found in standings if found.state in VERIFYING}
        numbered = sequence(START, standings, now)
        assert numbered < 2**53
        assert numbered > before[1] or (numbered == before[1] and verifying == before[0])
        before = (verifying, numbered)
