"""No single bit of what is signed or sealed can be another."""

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from adapters.secureaggregation.messages import SealedShares
from adapters.secureaggregation.rostering import advertised
from adapters.secureaggregation.sealing import raw, seal, text, unseal
from adapters.secureaggregation.signing import is_named_after
from tests.adapters.secureaggregation.parties import Parties


def flipped(value: bytes, bit: int) -> bytes:
    changed = bytearray(value)
    changed[bit // 8] ^= 1 << (bit % 8)
    return bytes(changed)


def test_no_bit_of_what_a_client_advertised_can_be_another() -> None:
    parties = Parties(3)
    name = parties.names[0]
    token = parties.clients[name].advertise().token.encode()
    assert advertised(token.decode(), parties.session, parties.names, is_named_after) is not None
    for bit in range(8 * len(token)):
        changed = flipped(token, bit).decode("latin-1")
        assert advertised(changed, parties.session, parties.names, is_named_after) is None


def test_no_bit_of_a_sealed_share_its_owner_or_its_roster_can_be_another() -> None:
    owner, holder = X25519PrivateKey.generate(), X25519PrivateKey.generate()
    from_owner, to_holder = (key.public_key().public_bytes_raw() for key in (owner, holder))
    roster = b"r" * 32
    sealed = seal(owner, to_holder, roster, 3, 5, (b"\x00" * 33, b"\x01" * 33)).model_copy(update={"place": 3})
    assert unseal(holder, from_owner, roster, 5, sealed) == (b"\x00" * 33, b"\x01" * 33)
    box = raw(sealed.box)
    for bit in range(8 * len(box)):
        changed = sealed.model_copy(update={"box": text(flipped(box, bit))})
        assert unseal(holder, from_owner, roster, 5, changed) is None
    for bit in range(8 * len(roster)):
        assert unseal(holder, from_owner, flipped(roster, bit), 5, sealed) is None
    for place, me in ((2, 5), (3, 4), (5, 3)):
        assert unseal(holder, from_owner, roster, me, sealed.model_copy(update={"place": place})) is None


def test_a_box_under_other_marks_is_refused() -> None:
    owner, holder = X25519PrivateKey.generate(), X25519PrivateKey.generate()
    from_owner, to_holder = (key.public_key().public_bytes_raw() for key in (owner, holder))
    sealed = seal(owner, to_holder, b"r", 3, 5, (b"\x00" * 33, b"\x01" * 33))
    swapped = SealedShares(place=3, box=sealed.box, key_mark=sealed.seed_mark, seed_mark=sealed.key_mark)
    assert unseal(holder, from_owner, b"r", 5, swapped) is None
