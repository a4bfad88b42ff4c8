"""The attacks of RFC 8725 and RFC 9449 at a guard: a stolen capability pulls nothing, and the log says why."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from torch import Tensor

from adapters.guard import Guard, Member, Refused, SealedRound
from controlplane.jose.keys import DeviceKey
from tests.adapters.conftest import AUDIENCE
from tests.controlplane.capabilities.attacks import (
    PROOF_ATTACKS,
    TOKEN_PROOF_ATTACKS,
    Request,
    compact,
    keyed,
    mirrored,
    public_forms,
    unsigned,
)
from tests.controlplane.capabilities.conftest import opened

Enrol = Callable[..., Member]


@pytest.fixture
def member(enrol: Enrol) -> Member:
    return enrol("trainer")


@pytest.fixture
def sealed(guard: Guard, member: Member, state: dict[str, Tensor]) -> SealedRound:
    return guard.seal(state, [member.id])


def logged(caplog: pytest.LogCaptureFixture, cause: str) -> bool:
    lines = [line.getMessage() for line in caplog.records if line.name == "ztfm.guard"]
    return any(line.startswith("dropped at pull: ") and f" ({cause}) " in line for line in lines)


def pulled(guard: Guard, sealed: SealedRound, member: Member, token: str, proof: str) -> str:
    """Return the cause of the refusal; empty when the weights would have been handed out."""
    credentials = replace(member.pull(sealed.terms), capability=token, proof=proof)
    found = guard.authorize_pull(sealed, credentials)
    return found.cause if isinstance(found, Refused) else ""


def request_of(member: Member, sealed: SealedRound, token: str, key: DeviceKey | None = None) -> Request:
    url = f"urn:ztfm:{AUDIENCE}:{sealed.terms.round_id}"
    return Request(key or member.key, "PULL", url, time.time(), token)


@pytest.mark.parametrize("name", [*PROOF_ATTACKS, *TOKEN_PROOF_ATTACKS])
def test_a_pull_with_an_attack_for_a_proof_is_refused_and_logged(
    guard: Guard, member: Member, sealed: SealedRound, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    make, cause = {**PROOF_ATTACKS, **TOKEN_PROOF_ATTACKS}[name]
    token = member.pull(sealed.terms).capability
    caplog.set_level(logging.INFO, "ztfm.guard")
    assert pulled(guard, sealed, member, token, make(request_of(member, sealed, token))) == cause
    assert logged(caplog, cause)
    assert token not in caplog.text


FORGED: dict[str, tuple[Callable[[str, DeviceKey], str], str]] = {
    "alg none": (lambda token, _: unsigned({**opened(token)[0], "alg": "none"}, opened(token)[1]), "malformed"),
    "no signature": (lambda token, _: unsigned(*opened(token)), "malformed"),
    "another key under the issuer's name": (lambda token, thief: compact(thief, *opened(token)), "bad_signature"),
    "a key that the issuer does not publish": (
        lambda token, thief: compact(thief, {**opened(token)[0], "kid": thief.thumbprint}, opened(token)[1]),
        "unknown_key",
    ),
    "a kid that is a path": (
        lambda token, thief: compact(thief, {**opened(token)[0], "kid": "../../dev/null"}, opened(token)[1]),
        "unknown_key",
    ),
    "a kid that is SQL": (
        lambda token, thief: compact(thief, {**opened(token)[0], "kid": "' OR '1'='1"}, opened(token)[1]),
        "unknown_key",
    ),
    "a jku": (
        lambda token, thief: compact(thief, {**opened(token)[0], "jku": "https://evil.example"}, opened(token)[1]),
        "malformed",
    ),
    "its own key brought along": (
        lambda token, thief: compact(thief, {**opened(token)[0], "jwk": thief.public.model_dump()}, opened(token)[1]),
        "malformed",
    ),
    "bound to the thief": (
        lambda token, thief: compact(thief, opened(token)[0], {**opened(token)[1], "cnf": {"jkt": thief.thumbprint}}),
        "bad_signature",
    ),
    "HS256 with the device's key": (
        lambda token, thief: keyed({**opened(token)[0], "alg": "HS256"}, opened(token)[1], public_forms(thief)["pem"]),
        "malformed",
    ),
    "too long": (lambda token, _: token + "A" * 9000, "malformed"),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_pull_with_a_forged_capability_is_refused_and_logged(
    guard: Guard, member: Member, sealed: SealedRound, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    make, cause = FORGED[name]
    forged = make(member.pull(sealed.terms).capability, DeviceKey.generate())
    caplog.set_level(logging.INFO, "ztfm.guard")
    assert pulled(guard, sealed, member, forged, request_of(member, sealed, forged).proof()) == cause
    assert logged(caplog, cause)


def test_a_pull_that_was_recorded_is_not_played_again(
    guard: Guard, member: Member, sealed: SealedRound, caplog: pytest.LogCaptureFixture
) -> None:
    token = member.pull(sealed.terms).capability
    proof = request_of(member, sealed, token).proof()
    caplog.set_level(logging.INFO, "ztfm.guard")
    assert pulled(guard, sealed, member, token, proof) == ""
    for again in (proof, mirrored(proof)):
        caplog.clear()
        assert pulled(guard, sealed, member, token, again) == "proof_replayed"
        assert logged(caplog, "proof_replayed")
