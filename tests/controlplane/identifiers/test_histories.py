"""Who may say what of an identity, and in which order."""

import json
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from controlplane.identifiers.histories import PINNED, Identity, RecordRefused, founders, judge
from controlplane.identifiers.names import device_id
from controlplane.identifiers.records import TYPE, RecordInvalid, SignedRecord, Statement, sign_record
from controlplane.jose.jws import encode_segment
from controlplane.jose.keys import DeviceKey

FOUNDER, OTHER = "did:web:clinic.example", "did:web:homes.example"
FEDERATION = "default"


class Board:
    """Follows what is said, as whoever reads a ledger does."""

    def __init__(self, keys: dict[str, DeviceKey]) -> None:
        self.known: dict[str, Identity] = founders({name: key.public for name, key in keys.items()})

    def take(self, signed: SignedRecord) -> Identity:
        record = signed.read()
        said = record.statement
        found = judge(record, FEDERATION, self.known.get(said.subject), self.known.get(said.issuer))
        self.known[found.subject] = found
        return found


@pytest.fixture
def founder() -> DeviceKey:
    return DeviceKey.generate()


@pytest.fixture
def board(founder: DeviceKey) -> Board:
    return Board({FOUNDER: founder})


def said(subject: str, act: str, key: DeviceKey | None, **changes: Any) -> Statement:
    first = {"federation": FEDERATION, "kind": "device", "subject": subject, "act": act, "sequence": 0}
    named = None if key is None else key.public
    return Statement.model_validate({**first, "issuer": FOUNDER, "key": named, "time_ms": 1, **changes})


def registered(board: Board, founder: DeviceKey) -> tuple[DeviceKey, Identity]:
    key = DeviceKey.generate()
    return key, board.take(sign_record(said(device_id(key.thumbprint), "registered", key), founder))


def after(identity: Identity, act: str, key: DeviceKey | None, **changes: Any) -> Statement:
    place = {"sequence": identity.sequence + 1, "previous": identity.head or PINNED, "kind": identity.kind}
    return said(identity.subject, act, key, **{**place, **changes})


def test_a_device_is_registered_rotates_its_key_and_is_revoked(board: Board, founder: DeviceKey) -> None:
    key, known = registered(board, founder)
    fresh = DeviceKey.generate()
    known = board.take(sign_record(after(known, "rotated", fresh), key, fresh))
    assert known.key == fresh.public
    known = board.take(sign_record(after(known, "revoked", None), founder))
    assert (known.is_revoked, known.key, known.sequence) == (True, fresh.public, 2)


def test_nobody_takes_back_a_revocation(board: Board, founder: DeviceKey) -> None:
    key, known = registered(board, founder)
    known = board.take(sign_record(after(known, "revoked", None), founder))
    for statement, author in (
        (after(known, "rotated", key), key),
        (said(known.subject, "registered", key), founder),
        (after(known, "revoked", None), founder),
    ):
        with pytest.raises(RecordRefused) as refusal:
            board.take(sign_record(statement, author, key if statement.act == "rotated" else None))
        assert refusal.value.cause in ("is_revoked", "already_registered")


def test_an_issuer_cannot_swap_a_device_s_key(board: Board, founder: DeviceKey) -> None:
    _, known = registered(board, founder)
    theirs = DeviceKey.generate()
    with pytest.raises(RecordRefused) as refusal:
        board.take(sign_record(after(known, "rotated", theirs), founder, theirs))
    assert refusal.value.cause == "not_signed_by_author"


def test_a_rotation_needs_the_consent_of_the_key_that_it_names(board: Board, founder: DeviceKey) -> None:
    key, known = registered(board, founder)
    statement = after(known, "rotated", DeviceKey.generate())
    with pytest.raises(RecordRefused):
        board.take(sign_record(statement, key))
    other = after(known, "rotated", DeviceKey.generate(), time_ms=2)
    with pytest.raises(RecordInvalid):
        SignedRecord(statement=sign_record(statement, key).statement, consent=sign_record(other, key).statement).read()


def test_an_issuer_that_was_accepted_vouches_for_its_own_and_no_others(board: Board, founder: DeviceKey) -> None:
    theirs, key = DeviceKey.generate(), DeviceKey.generate()
    board.take(sign_record(said(OTHER, "registered", theirs, kind="issuer"), founder))
    name = device_id(key.thumbprint)
    known = board.take(sign_record(said(name, "registered", key, issuer=OTHER), theirs))
    _, own = registered(board, founder)
    with pytest.raises(RecordRefused) as refusal:
        board.take(sign_record(after(own, "revoked", None, issuer=OTHER), theirs))
    assert refusal.value.cause == "other_issuer"
    # A founder may revoke anybody, and an issuer that is no more vouches for nobody.
    assert board.take(sign_record(after(known, "revoked", None), founder)).is_revoked
    board.take(sign_record(after(board.known[OTHER], "revoked", None), founder))
    newcomer = DeviceKey.generate()
    with pytest.raises(RecordRefused) as refusal:
        board.take(sign_record(said(device_id(newcomer.thumbprint), "registered", newcomer, issuer=OTHER), theirs))
    assert refusal.value.cause == "unknown_issuer"


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"federation": "elsewhere"}, "wrong_federation"),
        ({"sequence": 2}, "out_of_sequence"),
        ({"previous": "f" * 64}, "other_previous"),
        ({"kind": "issuer"}, "unknown_subject"),
        ({"issuer": "did:web:nobody.example"}, "unknown_issuer"),
    ],
)
def test_what_does_not_follow_is_refused(board: Board, founder: DeviceKey, changes: dict[str, Any], cause: str) -> None:
    _, known = registered(board, founder)
    with pytest.raises(RecordRefused) as refusal:
        board.take(sign_record(after(known, "revoked", None, **changes), founder))
    assert refusal.value.cause == cause


def test_nobody_fills_a_history_up_before_it_can_end(founder: DeviceKey) -> None:
    key = DeviceKey.generate()
    known = Identity("device", device_id(key.thumbprint), FOUNDER, key.public, sequence=999_999, head="f" * 64)
    with pytest.raises(ValidationError, match="for a revocation"):
        after(known, "rotated", DeviceKey.generate())
    ended = sign_record(after(known, "revoked", None), founder).read()
    assert judge(ended, FEDERATION, known, founders({FOUNDER: founder.public})[FOUNDER]).is_revoked


def test_a_header_says_nothing_else(board: Board, founder: DeviceKey) -> None:
    _, known = registered(board, founder)
    payload = after(known, "revoked", None).model_dump_json(exclude_none=True).encode()
    header = {"alg": "ES256", "kid": founder.thumbprint, "typ": TYPE}
    for names in (
        header | {"x": "y" * 600},
        header | {"jwk": founder.public.model_dump()},
        {"alg": "ES256", "typ": TYPE},
    ):
        with pytest.raises(RecordInvalid, match="other names"):
            SignedRecord(statement=founder.sign(encode_segment(json.dumps(names).encode()), payload)).read()
    assert board.take(
        SignedRecord(statement=founder.sign(encode_segment(json.dumps(header).encode()), payload))
    ).is_revoked


@pytest.mark.parametrize("time_ms", [-1, 253_402_300_800_000, 2**53 - 1])
def test_what_was_said_on_no_day_is_not_said(board: Board, founder: DeviceKey, time_ms: int) -> None:
    _, known = registered(board, founder)
    with pytest.raises(ValidationError, match="time_ms"):
        after(known, "revoked", None, time_ms=time_ms)


def test_a_device_has_the_name_that_follows_from_its_key(board: Board, founder: DeviceKey) -> None:
    with pytest.raises(RecordRefused) as refusal:
        board.take(sign_record(said("dev-" + "A" * 43, "registered", DeviceKey.generate()), founder))
    assert refusal.value.cause == "wrong_name"


def test_a_founder_rotates_its_own_key(board: Board, founder: DeviceKey) -> None:
    fresh = DeviceKey.generate()
    known = board.take(sign_record(after(board.known[FOUNDER], "rotated", fresh), founder, fresh))
    assert (known.key, known.sequence, known.is_founder) == (fresh.public, 1, True)


def test_one_changed_bit_anywhere_is_refused(board: Board, founder: DeviceKey) -> None:
    key = DeviceKey.generate()
    signed = sign_record(said(device_id(key.thumbprint), "registered", key), founder)
    raw = signed.statement.encode()
    for place in range(0, len(raw), 7):
        changed = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
        with pytest.raises((RecordRefused, RecordInvalid, ValueError)):
            board.take(SignedRecord(statement=changed.decode("latin-1")))
    assert replace(board.take(signed), head=None).key == key.public


def test_a_statement_has_one_form(founder: DeviceKey) -> None:
    key = DeviceKey.generate()
    signed = sign_record(said(device_id(key.thumbprint), "registered", key), founder)
    from controlplane.jose.jws import decode_segment, encode_segment

    header, payload, _ = signed.statement.split(".")
    spaced = decode_segment(payload.encode()).replace(b'":', b'": ', 1)
    again = founder.sign(header.encode(), spaced)
    assert encode_segment(spaced).decode() in again
    with pytest.raises(RecordInvalid, match="one form"):
        SignedRecord(statement=again).read()
