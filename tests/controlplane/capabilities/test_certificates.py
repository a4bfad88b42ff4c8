import hashlib
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding

from controlplane.capabilities.certificates import MAX_CERTIFICATE_BYTES, certificate_thumbprint, read_certificate
from controlplane.capabilities.refusals import Refused
from controlplane.contracts.capability import AuthorizationDetail, Constraints
from controlplane.identifiers.spiffe import SpiffeId, TrustDomain
from controlplane.identity.authority import CertificateAuthority
from controlplane.jose.jws import encode_segment
from controlplane.jose.keys import load_public
from tests.controlplane.capabilities.conftest import START, TARGET, World

DOMAIN = TrustDomain("homes.example")
AUTHORITY = CertificateAuthority.create(DOMAIN, START)
ONE = SpiffeId.of(DOMAIN, "device", "dev-1")


def certified(world: World) -> bytes:
    issued = AUTHORITY.issue_svid(ONE, load_public(world.device.public), START, 600.0)
    return issued.public_bytes(Encoding.DER)


def bound(world: World, certificate: str, **constraints: Any) -> str:
    detail = AuthorizationDetail(
        type="ztfm",
        action="gradient_submission",
        resource_type="model",
        resource_id="intents",
        constraints=Constraints(**{"round_id": "r1", **constraints}),
    )
    name, key = f"dev-{world.device.thumbprint}", world.device.thumbprint
    return world.minter.mint(name, key, "aggregator-1", detail, "dec-1", "rev-1", 60.0, certificate)[0]


def test_a_certificate_names_the_enrolled_key_itself_and_its_end(world: World) -> None:
    der = certified(world)
    found = read_certificate(der)
    assert found is not None
    assert found.key_thumbprint == world.device.thumbprint
    assert found.thumbprint == encode_segment(hashlib.sha256(der).digest()).decode() == certificate_thumbprint(der)
    assert found.expires_at == START + 600


@pytest.mark.parametrize("der", [None, b"", b"x", b"\x30\x82\xff\xff", b"0" * (MAX_CERTIFICATE_BYTES + 1)])
def test_what_is_no_certificate_says_nothing(der: bytes | None) -> None:
    assert read_certificate(der) is None


@pytest.mark.parametrize(
    "key", [ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP256K1()), ed25519.Ed25519PrivateKey]
)
def test_a_key_off_p256_says_nothing(key: Any) -> None:
    public = key.generate().public_key() if key is ed25519.Ed25519PrivateKey else key.public_key()
    issued = AUTHORITY.issue_svid(ONE, public, START)
    assert read_certificate(issued.public_bytes(Encoding.DER)) is None


@pytest.mark.filterwarnings("ignore:Parsed")
def test_a_damaged_certificate_raises_nothing(world: World) -> None:
    der = certified(world)
    for place in range(0, len(der), 3):
        read_certificate(der[:place] + bytes([der[place] ^ 0xFF]) + der[place + 1 :])
        read_certificate(der[:place])


def test_what_is_bound_to_a_certificate_holds_with_that_one_alone(world: World) -> None:
    shown = certificate_thumbprint(certified(world))
    token = bound(world, shown)
    assert world.verify(token, proof="", certificate=shown).cnf.x5t == shown
    assert world.cause(token, certificate=None) == "certificate_missing"
    assert world.cause(token, certificate="A" * 43) == "wrong_certificate"


def test_a_proof_is_no_stand_in_for_a_certificate(world: World) -> None:
    token = bound(world, certificate_thumbprint(certified(world)))
    assert world.cause(token, world.proof(token), certificate=None) == "certificate_missing"


def test_a_certificate_is_no_stand_in_for_a_proof(world: World) -> None:
    token, _ = world.mint()
    for shown in (certificate_thumbprint(certified(world)), world.device.thumbprint):
        refused = world.verifier.verify(
            token,
            proof=None,
            certificate=shown,
            method="SUBMIT",
            url=TARGET,
            action="gradient_submission",
            resource_id="intents",
            round_id="r1",
        )
        assert isinstance(refused, Refused)
        assert refused.cause == "proof_missing"


def test_a_one_time_capability_works_once_over_tls_too(world: World) -> None:
    shown = certificate_thumbprint(certified(world))
    token = bound(world, shown, one_time=True)
    assert world.cause(token, proof="", certificate=shown) == ""
    assert world.cause(token, proof="", certificate=shown) == "replayed"
