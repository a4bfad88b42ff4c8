import json
from typing import Any

import pytest

from controlplane.capabilities.events import EventSigner, EventVerifier
from controlplane.contracts.events import (
    RESET,
    SESSION_REVOKED,
    VERIFICATION,
    Events,
    JwtSubject,
    SecurityEvent,
    SecurityEventClaims,
    SessionRevoked,
)
from controlplane.jose.jws import encode_segment
from controlplane.jose.keys import SigningKey, jwks
from tests.controlplane.capabilities.conftest import ISSUER, START, World

EVENT = SecurityEvent(
    txn="dec-1",
    sub_id=JwtSubject(format="jwt_id", iss=ISSUER, jti="cap-1"),
    events=Events(session_revoked=SessionRevoked(event_timestamp=START)),
)
DOCUMENT = EVENT.model_dump_json(exclude_none=True).encode()


@pytest.fixture
def signer(world: World) -> EventSigner:
    return EventSigner(ISSUER, lambda: world.signing)


@pytest.fixture
def verifier(world: World) -> EventVerifier:
    return EventVerifier(ISSUER, jwks([world.signing]))


def claims(**changes: Any) -> dict[str, Any]:
    return {
        "iss": ISSUER,
        "aud": f"{ISSUER}/v1/events",
        "iat": int(START),
        "jti": "set-7",
        "txn": "dec-1",
        "sub_id": {"format": "opaque", "id": "dev-a"},
        "events": {SESSION_REVOKED: {"event_timestamp": START}},
        **changes,
    }


def sign(key: SigningKey, document: Any, **header: Any) -> str:
    head = {"alg": "ES256", "kid": key.kid, "typ": "secevent+jwt", **header}
    payload = document if isinstance(document, bytes) else json.dumps(document).encode()
    return key.sign(encode_segment(json.dumps(head).encode()), payload)


def test_what_was_signed_is_read_back(signer: EventSigner, verifier: EventVerifier) -> None:
    found = verifier.verify(signer.kept(7, START + 0.9, DOCUMENT), 7)
    assert isinstance(found, SecurityEventClaims)
    assert (found.iss, found.aud, found.iat, found.jti) == (ISSUER, f"{ISSUER}/v1/events", int(START), "set-7")
    assert (found.txn, found.sub_id, found.events) == (EVENT.txn, EVENT.sub_id, EVENT.events)


def test_an_event_is_signed_once_with_each_key_however_many_listen(world: World, signer: EventSigner) -> None:
    first = signer.kept(7, START, DOCUMENT)
    assert signer.kept(7, START, DOCUMENT) is first
    world.signing = SigningKey.generate()
    assert signer.kept(7, START, DOCUMENT) != first


def test_only_so_many_signed_events_are_remembered(world: World) -> None:
    signer = EventSigner(ISSUER, lambda: world.signing, capacity=3)
    first = signer.kept(0, START, DOCUMENT)
    for sequence in range(1, 10):
        signer.kept(sequence, START, DOCUMENT)
    assert len(signer._signed) == 3
    assert signer.kept(0, START, DOCUMENT) != first


def test_what_is_about_the_stream_passes_for_no_kept_event(signer: EventSigner, verifier: EventVerifier) -> None:
    for token in (signer.alive(7, START), signer.reset(START, 7)):
        assert isinstance(verifier.verify(token, None), SecurityEventClaims)
        assert verifier.verify(token, 7) == "wrong_sequence"
    assert verifier.verify(signer.kept(7, START, DOCUMENT), None) == "wrong_sequence"


def test_an_event_passes_for_no_other_one(signer: EventSigner, verifier: EventVerifier) -> None:
    assert verifier.verify(signer.kept(7, START, DOCUMENT), 8) == "wrong_sequence"


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ({"typ": "at+jwt"}, "malformed"),
        ({"typ": "JWT"}, "malformed"),
        ({"alg": "none"}, "malformed"),
        ({"alg": "HS256"}, "malformed"),
        ({"jku": "https://evil.example"}, "malformed"),
        ({"kid": "other"}, "unknown_key"),
        ({"kid": 7}, "unknown_key"),
    ],
)
def test_another_header_is_refused(world: World, verifier: EventVerifier, header: dict[str, Any], why: str) -> None:
    assert isinstance(verifier.verify(sign(world.signing, claims()), 7), SecurityEventClaims)
    assert verifier.verify(sign(world.signing, claims(), **header), 7) == why


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"iss": "https://evil.example"}, "wrong_issuer"),
        ({"aud": ISSUER}, "wrong_issuer"),
        ({"sub_id": {"format": "jwt_id", "iss": "https://evil.example", "jti": "cap-1"}}, "wrong_issuer"),
        ({"jti": "set-8"}, "wrong_sequence"),
        ({"exp": int(START) + 300}, "malformed"),
        ({"events": {}}, "malformed"),
        ({"events": {VERIFICATION: {"state": "7"}}}, "wrong_sequence"),
        ({"events": {RESET: {"event_timestamp": START}}}, "wrong_sequence"),
    ],
)
def test_other_claims_are_refused(world: World, verifier: EventVerifier, changes: dict[str, Any], why: str) -> None:
    assert verifier.verify(sign(world.signing, claims(**changes)), 7) == why


def test_a_token_of_another_key_a_changed_one_and_a_capability_are_refused(
    world: World, verifier: EventVerifier
) -> None:
    stranger = SigningKey.generate()
    assert verifier.verify(sign(stranger, claims()), 7) == "unknown_key"
    assert verifier.verify(sign(stranger, claims(), kid=world.signing.kid), 7) == "bad_signature"
    good, other = sign(world.signing, claims()), sign(world.signing, claims(txn="dec-2"))
    mixed = ".".join([*other.split(".")[:2], good.split(".")[2]])
    assert verifier.verify(mixed, 7) == "bad_signature"
    assert verifier.verify(world.mint()[0], 7) == "malformed"
    for text in ("", "a.b", "a.b.c", good + ".", good[:-4]):
        assert verifier.verify(text, 7) in {"malformed", "bad_signature"}
    twice = json.dumps(claims()).encode().replace(b'{"iss"', b'{"jti": "set-7", "iss"')
    assert verifier.verify(sign(world.signing, twice), 7) == "malformed"


def test_keys_follow_the_issuer_and_stay_when_a_set_cannot_be_used(world: World, verifier: EventVerifier) -> None:
    token = sign(world.signing, claims())
    with pytest.raises(Exception, match="keys"):
        verifier.update_keys({"keys": "none"})
    assert isinstance(verifier.verify(token, 7), SecurityEventClaims)
    verifier.update_keys(jwks([SigningKey.generate()]))
    assert verifier.verify(token, 7) == "unknown_key"
