"""Marks, views and boxes: what binds a secure sum's shares to their owner, their holder and what both have seen."""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from adapters.secureaggregation.masks import agree
from adapters.secureaggregation.messages import SealedShares
from adapters.secureaggregation.shamir import SHARE_BYTES

_NONCE = bytes(12)


def text(raw: bytes) -> str:
    """Return bytes in base64url without padding."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def raw(encoded: str) -> bytes:
    """Return the bytes behind base64url text that a contract has checked."""
    return urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))


def mark(value: bytes) -> str:
    """Return the digest of a secret or a share; both are as long as a key, and as unpredictable."""
    return text(hashlib.sha256(b"ztfm secure aggregation mark" + value).digest())


def is_marked(value: bytes, marked: str) -> bool:
    """Whether a mark is that of a value."""
    return hmac.compare_digest(mark(value), marked)


def roster_digest(session: bytes, tokens: Sequence[str]) -> bytes:
    """Return the digest of a roster in a session: who takes part, with which keys."""
    return hashlib.sha256(session + hashlib.sha256("\n".join(tokens).encode()).digest()).digest()


def view_digest(roster: bytes, sharers: Sequence[int], survivors: Sequence[int]) -> str:
    """Return the digest of all that honest clients must have seen alike before they reveal anything."""
    seen = f"{','.join(map(str, sharers))};{','.join(map(str, survivors))}"
    return text(hashlib.sha256(roster + seen.encode()).digest())


def seal(
    private: X25519PrivateKey, public: bytes, roster: bytes, owner: int, holder: int, shares: tuple[bytes, bytes]
) -> SealedShares:
    """Return an owner's shares of its mask key and of its seed, for one holder.

    The key is for this one box: it is derived for the session, the roster and this direction, so a box that is handed
    to somebody else, or once more in another session, cannot be opened. Hence one nonce serves (RFC 8439).

    Args:
        private: the owner's channel key.
        public: the holder's, 32 bytes.
        roster: digest of it.
        owner: its place.
        holder: its place.
        shares: of the mask key and of the seed.

    Raises:
        ValueError: ``public`` is no key that can be agreed with.
    """
    key = agree(private, public, roster, _purpose(owner, holder))
    box = ChaCha20Poly1305(key).encrypt(_NONCE, b"".join(shares), roster)
    return SealedShares(place=holder, box=text(box), key_mark=mark(shares[0]), seed_mark=mark(shares[1]))


def unseal(
    private: X25519PrivateKey, public: bytes, roster: bytes, holder: int, sealed: SealedShares
) -> tuple[bytes, bytes] | None:
    """Return the shares that an owner sealed for this holder, or none where they are not what they are marked as.

    Args:
        private: the holder's channel key.
        public: the owner's.
        roster: digest of it.
        holder: its place.
        sealed: as delivered: its place is the owner's.
    """
    try:
        key = agree(private, public, roster, _purpose(sealed.place, holder))
        opened = ChaCha20Poly1305(key).decrypt(_NONCE, raw(sealed.box), roster)
    except (ValueError, InvalidTag):
        return None
    of_key, of_seed = opened[:SHARE_BYTES], opened[SHARE_BYTES:]
    fits = is_marked(of_key, sealed.key_mark) and is_marked(of_seed, sealed.seed_mark)
    return (of_key, of_seed) if fits else None


def _purpose(owner: int, holder: int) -> bytes:
    return f"ztfm shares {owner} {holder}".encode()


def pair_purpose(one: int, other: int) -> bytes:
    """Return what the mask between two clients is derived for, whichever of them asks."""
    return f"ztfm mask {min(one, other)} {max(one, other)}".encode()


SEED_PURPOSE = b"ztfm seed"
"""What a client's own mask is derived for."""
