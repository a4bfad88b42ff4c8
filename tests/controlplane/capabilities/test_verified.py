"""A remembered signature widens nothing: not past expiry, a withdrawn key, another request, or a bound."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from controlplane.capabilities import issued
from controlplane.capabilities.keyset import read_keys
from controlplane.capabilities.verification import CapabilityVerifier
from controlplane.capabilities.verified import VerifiedTokens
from controlplane.contracts.capability import CapabilityClaims
from controlplane.jose.keys import SigningKey, jwks
from tests.controlplane.capabilities.conftest import AUDIENCE, ISSUER, START, World


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """The tokens whose signature was really verified."""
    seen: list[object] = []
    real = issued.is_signed_by
    monkeypatch.setattr(issued, "is_signed_by", lambda key, token: seen.append(token) or real(key, token))
    yield seen


def test_a_capability_that_is_presented_again_has_its_signature_verified_once(
    world: World, checked: list[object]
) -> None:
    token, _ = world.mint()
    assert [world.cause(token) for _ in range(4)] == [""] * 4
    assert len(checked) == 1


def test_it_holds_no_longer_than_its_life(world: World, checked: list[object]) -> None:
    token, claims = world.mint()
    assert world.cause(token) == ""
    world.clock.now = claims.exp
    assert world.cause(token) == "expired"
    world.clock.now = claims.iat - 3600.0
    assert world.cause(token) == "not_yet_valid"
    assert len(checked) == 1


def test_it_holds_no_longer_than_its_key_is_trusted(world: World, checked: list[object]) -> None:
    token, _ = world.mint()
    assert world.cause(token) == ""
    world.verifier.update_keys(jwks([world.signing]))
    assert world.cause(token) == ""
    assert len(checked) == 1, "the same keys once more are no other keys"
    world.verifier.update_keys(jwks([SigningKey.generate()]))
    assert world.cause(token) == "unknown_key"
    world.verifier.update_keys(jwks([world.signing]))
    assert world.cause(token) == ""
    assert len(checked) == 2


class Standing:
    """Says how every capability stands."""

    def __init__(self) -> None:
        self.said = "good"

    def standing(self, claims: CapabilityClaims, kid: str) -> Any:
        return self.said


@pytest.mark.parametrize(("said", "cause"), [("revoked", "revoked"), ("unknown", "revocations_unknown")])
def test_it_holds_no_longer_than_it_stands(world: World, checked: list[object], said: str, cause: str) -> None:
    standing = Standing()
    world.verifier = CapabilityVerifier(jwks([world.signing]), ISSUER, AUDIENCE, world.clock, standings=standing)
    token, _ = world.mint()
    assert world.cause(token) == ""
    standing.said = said
    assert world.cause(token) == cause
    standing.said = "good"
    assert world.cause(token) == ""
    assert len(checked) == 1


def test_another_key_under_the_same_kid_finds_nothing_remembered(world: World) -> None:
    token, _ = world.mint()
    assert world.cause(token) == ""
    [published] = jwks([world.signing])["keys"]
    [other] = jwks([SigningKey.generate()])["keys"]
    world.verifier.update_keys({"keys": [{**other, "kid": published["kid"]}]})
    assert world.cause(token) == "bad_signature"


def test_a_remembered_capability_still_has_to_fit_the_request_and_its_proof(world: World) -> None:
    token, _ = world.mint(segment="homes")
    assert world.cause(token) == ""
    assert world.cause(token, action="inference") == "wrong_action"
    assert world.cause(token, resource_id="other") == "wrong_resource"
    assert world.cause(token, round_id="r2") == "wrong_round"
    assert world.cause(token, subject="dev-other") == "wrong_subject"
    assert world.cause(token, segment="guests") == "wrong_segment"
    assert world.cause(token, world.proof(None)) == "proof_wrong_token"
    assert world.cause(token, "") == "proof_malformed"


def test_a_remembered_token_is_the_whole_token(world: World) -> None:
    token, _ = world.mint()
    assert world.cause(token) == ""
    for changed in (token[:-1] + ("A" if token[-1] != "A" else "Q"), token + "=", token.rpartition(".")[0] + ".", ""):
        assert world.cause(changed) in {"bad_signature", "malformed"}


def test_a_one_time_capability_is_not_remembered_and_holds_once(world: World, checked: list[object]) -> None:
    token, _ = world.mint(one_time=True)
    assert [world.cause(token) for _ in range(2)] == ["", "replayed"]
    assert len(checked) == 2
    assert len(world.verifier._verified) == 0


def test_what_does_not_hold_is_not_remembered(world: World) -> None:
    token, _ = world.mint()
    world.verifier.update_keys({"keys": []})
    assert world.cause(token) == "unknown_key"
    assert len(world.verifier._verified) == 0


def test_nothing_is_remembered_where_that_is_asked_for(world: World, checked: list[object]) -> None:
    world.verifier = CapabilityVerifier(jwks([world.signing]), ISSUER, AUDIENCE, world.clock, remembered=0)
    token, _ = world.mint()
    assert [world.cause(token) for _ in range(2)] == ["", ""]
    assert len(checked) == 2


def test_it_is_bounded_and_the_oldest_makes_room(world: World, checked: list[object]) -> None:
    world.verifier = CapabilityVerifier(jwks([world.signing]), ISSUER, AUDIENCE, world.clock, remembered=3)
    tokens = [world.mint()[0] for _ in range(5)]
    for token in tokens:
        assert world.cause(token) == ""
        assert len(world.verifier._verified) <= 3
    assert len(checked) == 5
    assert world.cause(tokens[4]) == ""
    assert len(checked) == 5
    assert world.cause(tokens[0]) == ""
    assert len(checked) == 6


def test_what_expired_or_was_verified_by_former_keys_is_forgotten_on_the_way(world: World) -> None:
    tokens = VerifiedTokens(10)
    keys = read_keys(jwks([world.signing]))
    _, claims = world.mint()
    tokens.keep("a", keys, claims, START)
    tokens.keep("b", keys, claims, claims.exp - 0.001)
    assert len(tokens) == 2
    _, later = world.mint(ttl=300.0)
    tokens.keep("c", keys, later, claims.exp)
    assert len(tokens) == 1
    tokens.keep("d", dict(keys), later, START)
    assert len(tokens) == 1
    assert tokens.find("c", keys) is None
    tokens.keep("e", keys, claims, claims.exp)
    assert tokens.find("e", keys) is None


@pytest.mark.parametrize("anything", [None, b"", 7, [], {}])
def test_what_is_no_text_is_not_found(anything: object) -> None:
    assert VerifiedTokens(1).find(anything, {}) is None


def test_a_negative_bound_is_an_error() -> None:
    with pytest.raises(ValueError, match="negative"):
        VerifiedTokens(-1)


def test_threads_share_it(world: World) -> None:
    world.verifier = CapabilityVerifier(jwks([world.signing]), ISSUER, AUDIENCE, world.clock, remembered=4)
    tokens = [world.mint()[0] for _ in range(16)]
    failures: list[str] = []

    def work() -> None:
        for _ in range(20):
            failures.extend(filter(None, (world.cause(token) for token in tokens)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(world.verifier._verified) <= 4
