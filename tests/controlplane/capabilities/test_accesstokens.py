"""An access token for this API says who asks; a capability says what for. Neither passes as the other."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from joserfc.jwt import JWTClaimsRegistry

from controlplane.capabilities.accesstokens import AccessTokens
from controlplane.capabilities.refusals import Refused
from controlplane.capabilities.revocations import Standing
from controlplane.contracts.capability import Confirmation
from controlplane.jose.keys import SigningKey, jwks
from tests.clocks import Clock
from tests.controlplane.capabilities.conftest import ISSUER, START, World, forge, opened


@dataclass
class Desk:
    """An issuer of access tokens."""

    clock: Clock = field(default_factory=Clock)
    signing: SigningKey = field(default_factory=SigningKey.generate)
    standing: Standing = "good"

    def __post_init__(self) -> None:
        self.tokens = AccessTokens(
            lambda: self.signing, lambda: [self.signing], ISSUER, self.clock, lambda _jti, _iat: self.standing
        )

    def mint(self) -> str:
        return self.tokens.mint("dev-1", Confirmation(jkt="k" * 43))[0]

    def cause(self, token: str) -> str:
        return str(getattr(self.tokens.verify(token), "cause", ""))


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_it_holds_for_five_minutes_and_no_longer(desk: Desk) -> None:
    token = desk.mint()
    claims = desk.tokens.verify(token)
    assert not isinstance(claims, Refused)
    assert (claims.sub, claims.client_id, claims.aud, claims.scope) == ("dev-1", "dev-1", ISSUER, "ztfm:api")
    desk.clock.now = START + 299.9
    assert desk.cause(token) == ""
    desk.clock.now = START + 300
    assert desk.cause(token) == "expired"
    desk.clock.now = START - 6
    assert desk.cause(token) == "not_yet_valid"


def test_an_independent_library_reads_it(desk: Desk) -> None:
    found = jwt.decode(desk.mint(), KeySet.import_key_set(jwks([desk.signing])), algorithms=["ES256"])  # type: ignore[arg-type]
    assert found.header == {"alg": "ES256", "kid": desk.signing.kid, "typ": "at+jwt"}
    essential: dict[str, Any] = {name: {"essential": True} for name in ("exp", "iat", "jti", "client_id", "scope")}
    rules = JWTClaimsRegistry(
        now=int(START), iss={"essential": True, "value": ISSUER}, aud={"essential": True, "value": ISSUER}, **essential
    )
    rules.validate(found.claims)


def test_a_capability_is_none_and_it_is_no_capability(desk: Desk) -> None:
    world = World(signing=desk.signing, clock=desk.clock)
    assert desk.cause(world.mint(audience=ISSUER)[0]) == "malformed"
    assert world.cause(desk.mint()) == "malformed"
    both = {**opened(world.mint(audience=ISSUER)[0])[1], **opened(desk.mint())[1]}
    token = forge(desk.signing, {"alg": "ES256", "kid": desk.signing.kid, "typ": "at+jwt"}, both)
    assert desk.cause(token) == "malformed"
    assert world.cause(token) == "malformed"


@pytest.mark.parametrize(
    ("header", "claims", "cause"),
    [
        ({}, {}, ""),
        ({"typ": "JWT"}, {}, "malformed"),
        ({"alg": "none"}, {}, "malformed"),
        ({"kid": "another"}, {}, "unknown_key"),
        ({"kid": {"x": 1}}, {}, "unknown_key"),
        ({"jku": "https://evil.example"}, {}, "malformed"),
        ({}, {"iss": "https://other.example"}, "wrong_issuer"),
        ({}, {"aud": "gateway-1"}, "wrong_audience"),
        ({}, {"aud": [ISSUER]}, "malformed"),
        ({}, {"client_id": "dev-2"}, "wrong_subject"),
        ({}, {"exp": int(START) + 301}, "malformed"),
        ({}, {"exp": int(START)}, "malformed"),
        ({}, {"scope": "ztfm:api admin"}, "malformed"),
        ({}, {"cnf": {}}, "malformed"),
        ({}, {"jti": "cap-" + "0" * 32}, "malformed"),
        ({}, {"admin": True}, "malformed"),
    ],
)
def test_whatever_is_not_as_it_was_minted_is_refused(
    desk: Desk, header: dict[str, Any], claims: dict[str, Any], cause: str
) -> None:
    head, payload = opened(desk.mint())
    assert desk.cause(forge(desk.signing, {**head, **header}, {**payload, **claims})) == cause


def test_another_key_s_signature_does_not_hold(desk: Desk) -> None:
    head, payload = opened(desk.mint())
    assert desk.cause(forge(SigningKey.generate(), head, payload)) == "bad_signature"


@pytest.mark.parametrize(("standing", "cause"), [("revoked", "revoked"), ("unknown", "revocations_unknown")])
def test_what_was_revoked_or_may_have_been_is_refused(desk: Desk, standing: Standing, cause: str) -> None:
    token = desk.mint()
    desk.standing = standing
    assert desk.cause(token) == cause
