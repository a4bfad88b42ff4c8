"""Nothing of RFC 8725's and RFC 9449's attacks passes the verifier, and each is named by its cause."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from controlplane.capabilities.accesstokens import AccessTokens
from controlplane.capabilities.statuslist import status_of
from controlplane.capabilities.statustokens import sign_list
from controlplane.contracts.capability import Confirmation
from controlplane.jose.jws import encode_segment
from controlplane.jose.keys import DeviceKey
from tests.controlplane.capabilities.attacks import (
    KEY_NAMES,
    PROOF_ATTACKS,
    TOKEN_PROOF_ATTACKS,
    Request,
    compact,
    keyed,
    mirrored,
    public_forms,
    resigned,
    unsigned,
)
from tests.controlplane.capabilities.conftest import ISSUER, START, TARGET, World, opened


def request_of(world: World, token: str) -> Request:
    return Request(world.device, "SUBMIT", TARGET, world.clock(), token)


@pytest.mark.parametrize("name", [*PROOF_ATTACKS, *TOKEN_PROOF_ATTACKS])
def test_a_capability_does_not_hold_with(world: World, name: str) -> None:
    make, cause = {**PROOF_ATTACKS, **TOKEN_PROOF_ATTACKS}[name]
    token, _ = world.mint(one_time=True)
    assert world.cause(token, make(request_of(world, token))) == cause
    assert world.cause(token) == "", "an attack uses up nothing of the owner's"


def test_a_proof_is_not_used_twice_even_with_its_signature_mirrored(world: World) -> None:
    token, _ = world.mint()
    proof = request_of(world, token).proof()
    assert world.cause(token, proof) == ""
    assert world.cause(token, proof) == "proof_replayed"
    assert world.cause(token, mirrored(proof)) == "proof_replayed"


def test_a_one_time_capability_is_not_used_twice_even_with_its_signature_mirrored(world: World) -> None:
    token, _ = world.mint(one_time=True)
    assert world.cause(token) == ""
    assert world.cause(token) == "replayed"
    assert world.cause(mirrored(token)) == "replayed"


@pytest.mark.parametrize("kid", KEY_NAMES)
@pytest.mark.parametrize("alg", ["ES256", "HS256"])
def test_a_key_is_never_looked_for_where_its_name_points(world: World, kid: str, alg: str) -> None:
    header, claims = opened(world.mint()[0])
    header |= {"kid": kid, "alg": alg}
    thief = DeviceKey.generate()
    forged = compact(thief, header, claims) if alg == "ES256" else keyed(header, claims, b"")
    assert world.cause(forged) == ("unknown_key" if alg == "ES256" else "malformed")


@pytest.mark.parametrize("form", ["pem", "der", "point", "jwk", "x", "empty"])
@pytest.mark.parametrize(("alg", "digest"), [("HS256", "sha256"), ("HS512", "sha512"), ("ES256", "sha512")])
def test_the_published_key_is_no_shared_secret(world: World, form: str, alg: str, digest: str) -> None:
    header, claims = opened(world.mint()[0])
    forged = keyed({**header, "alg": alg}, claims, public_forms(world.signing)[form], digest)
    assert world.cause(forged) == ("bad_signature" if alg == "ES256" else "malformed")


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"alg": "none"}, "malformed"),
        ({"alg": "None"}, "malformed"),
        ({"alg": ""}, "malformed"),
        ({"jku": "https://evil.example/jwks.json"}, "malformed"),
        ({"x5u": "https://evil.example/chain.pem"}, "malformed"),
        ({"x5c": ["MIIB"]}, "malformed"),
        ({"x5t#S256": "A" * 43}, "malformed"),
        ({"jwk": "own"}, "malformed"),
        ({"crit": ["exp"], "exp": START}, "malformed"),
        ({"crit": []}, "malformed"),
        ({"b64": False, "crit": ["b64"]}, "malformed"),
        ({"zip": "DEF"}, "malformed"),
        ({"cty": "JWT"}, "malformed"),
        ({"enc": "A256GCM"}, "malformed"),
    ],
)
def test_a_thief_cannot_bring_the_key_or_the_rules_along(world: World, change: dict[str, Any], cause: str) -> None:
    header, claims = opened(world.mint()[0])
    thief = DeviceKey.generate()
    brought = {name: thief.public.model_dump() if value == "own" else value for name, value in change.items()}
    for signer in (thief, world.signing):
        assert world.cause(compact(signer, {**header, **brought}, claims)) == cause
    assert world.cause(unsigned({**header, **brought}, claims)) == "malformed"


@pytest.mark.parametrize(
    "signature", [b"", bytes(64), b"\xff" * 64, bytes(63), bytes(65), bytes(31) + b"\1" + bytes(32)]
)
def test_a_signature_of_nothing_signs_nothing(world: World, signature: bytes) -> None:
    header, claims = opened(world.mint()[0])
    cause = "bad_signature" if len(signature) == 64 else "malformed"
    assert world.cause(unsigned(header, claims, signature)) == cause


def test_a_signature_in_another_form_is_malformed(world: World) -> None:
    assert world.cause(resigned(world.mint()[0], encode_dss_signature)) == "malformed"


def _nested(world: World) -> str:
    header, _ = opened(world.mint()[0])
    return compact(world.signing, header, world.mint()[0].encode())


FORMS: dict[str, Callable[[World], str]] = {
    "a token within a token": _nested,
    "as a JSON string within": lambda world: compact(
        world.signing, opened(world.mint()[0])[0], json.dumps(world.mint()[0]).encode()
    ),
    "five parts": lambda world: world.mint()[0] + ".AAAA.AAAA",
    "two parts": lambda world: world.mint()[0].rpartition(".")[0],
    "JSON serialisation": lambda world: json.dumps(
        dict(zip(("protected", "payload", "signature"), world.mint()[0].split("."), strict=True))
    ),
    "an unencoded payload": lambda world: (
        world.mint()[0].split(".")[0]
        + "."
        + json.dumps(opened(world.mint()[0])[1])
        + "."
        + world.mint()[0].split(".")[2]
    ),
    "padded": lambda world: world.mint()[0] + "=",
    "bearer word": lambda world: "DPoP " + world.mint()[0],
    "two tokens": lambda world: world.mint()[0] + "," + world.mint()[0],
    "larger than any": lambda world: compact(
        world.signing, opened(world.mint()[0])[0], {**opened(world.mint()[0])[1], "filler": "x" * 9000}
    ),
    "a header larger than any": lambda world: compact(
        world.signing, {**opened(world.mint()[0])[0], "kid": "k" * 2000}, opened(world.mint()[0])[1]
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_another_form_is_no_capability(world: World, name: str) -> None:
    assert world.cause(FORMS[name](world)) == "malformed"


def test_a_payload_that_comes_apart_from_its_token_is_not_looked_for(world: World) -> None:
    assert world.cause("..".join(world.mint()[0].split(".")[::2])) == "bad_signature"


def test_other_tokens_of_the_same_issuer_and_key_are_no_capabilities(world: World) -> None:
    access = AccessTokens(
        lambda: world.signing, lambda: [world.signing], ISSUER, world.clock, standing=lambda _id, _at: "good"
    )
    api, _ = access.mint(f"dev-{world.device.thumbprint}", Confirmation(jkt=world.device.thumbprint))
    uri = status_of(ISSUER, "dec-1", START).status_list.uri
    listed = sign_list(world.signing, ISSUER, uri, [], START)
    assert [world.cause(token) for token in (api, listed)] == ["malformed", "malformed"]
    capability, _ = world.mint()
    assert getattr(access.verify(capability), "cause", "") == "malformed"


@pytest.mark.parametrize(
    ("audience", "cause"),
    [("aggregator-2", "wrong_audience"), ("AGGREGATOR-1", "wrong_audience"), ("aggregator-1", "")],
)
def test_a_capability_holds_at_its_audience_alone(world: World, audience: str, cause: str) -> None:
    assert world.cause(world.mint(audience=audience)[0]) == cause


@pytest.mark.parametrize(
    ("moved", "cause"), [(59.9, ""), (60.0, "expired"), (86_400.0, "expired"), (-60.0, "not_yet_valid")]
)
def test_a_capability_holds_in_its_time_alone(world: World, moved: float, cause: str) -> None:
    token, _ = world.mint(ttl=60.0)
    world.clock.now = START + moved
    assert world.cause(token) == cause


def test_the_header_alone_is_never_enough(world: World) -> None:
    header = encode_segment(json.dumps({"alg": "none"}).encode()).decode()
    assert world.cause(f"{header}..") == "malformed"
