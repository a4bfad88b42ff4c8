"""``did:key``: a public key that is its own identifier, so that nobody has to be asked (W3C CCG did:key 0.9).

A device's DID is that of its P-256 key. Ed25519 and secp256k1 are read, for others have them; nothing here verifies
with them. Each key has one spelling, and each spelling one key.
"""

from cryptography.hazmat.primitives.asymmetric.ec import SECP256K1, SECP256R1, EllipticCurve, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from controlplane.contracts.identity import PublicKey
from controlplane.identifiers.dids import DidInvalid, parse_did
from controlplane.identifiers.documents import (
    DidDocument,
    Ed25519Key,
    Jwk,
    Secp256k1Key,
    VerificationMethod,
    document_of,
)
from controlplane.identifiers.multibase import KeyKind, decode_key, encode_key
from controlplane.jose.jws import encode_segment
from controlplane.jose.keys import load_public

_FIELD = 2**255 - 19
_COEFFICIENT = -121665 * pow(121666, -1, _FIELD) % _FIELD
_CURVES: dict[KeyKind, EllipticCurve] = {"P-256": SECP256R1(), "secp256k1": SECP256K1()}


def did_key(key: PublicKey) -> str:
    """Return the DID of a P-256 key.

    Raises:
        ValueError: it is no point on the curve.
    """
    return f"did:key:{multikey(key)}"


def multikey(key: PublicKey) -> str:
    """Return a P-256 key as multibase text.

    Raises:
        ValueError: it is no point on the curve.
    """
    return encode_key("P-256", load_public(key).public_bytes(Encoding.X962, PublicFormat.CompressedPoint))


def parse_did_key(did: str) -> Jwk:
    """Return the key that a ``did:key`` is.

    Raises:
        DidInvalid: no ``did:key`` of a kind that is read, or no point on the curve.
    """
    return read_multikey(parse_did(did, "key").specific)


def read_multikey(text: str) -> Jwk:
    """Return the key of a multibase text.

    Raises:
        DidInvalid: no key of a kind that is read, or no point on its curve.
    """
    try:
        kind, raw = decode_key(text)
        return _ed25519(raw) if kind == "Ed25519" else _elliptic(kind, raw)
    except ValueError as error:
        raise DidInvalid(f"it holds no public key that can be used: {error}") from None


def key_document(did: str) -> DidDocument:
    """Return the document of a ``did:key``, which follows from it alone. Its key is for everything but encryption.

    Raises:
        DidInvalid: as `parse_did_key`.
    """
    key = parse_did_key(did)
    name = f"{did}#{did.rpartition(':')[2]}"
    method = VerificationMethod(id=name, type="JsonWebKey", controller=did, public_key_jwk=key)
    written = document_of(did, [method], [name], [name])
    return written.model_copy(update={"capability_invocation": [name], "capability_delegation": [name]})


def _elliptic(kind: KeyKind, raw: bytes) -> Jwk:
    numbers = EllipticCurvePublicKey.from_encoded_point(_CURVES[kind], raw).public_numbers()
    x, y = (encode_segment(value.to_bytes(32, "big")).decode() for value in (numbers.x, numbers.y))
    if kind == "P-256":
        return PublicKey(kty="EC", crv="P-256", x=x, y=y)
    return Secp256k1Key(kty="EC", crv="secp256k1", x=x, y=y)


def _ed25519(raw: bytes) -> Ed25519Key:
    """Return the key; whoever loads such bytes elsewhere may find out only much later that they are no point."""
    value = int.from_bytes(raw, "little")
    y, is_negative = value & (2**255 - 1), value >> 255
    # RFC 8032 section 5.1.3: x is a square root of (y * y - 1) / (d * y * y + 1), where there is one.
    square = (y * y - 1) * pow(_COEFFICIENT * y * y + 1, -1, _FIELD) % _FIELD if y < _FIELD else 0
    if y >= _FIELD or (square == 0 and is_negative) or pow(square, (_FIELD - 1) // 2, _FIELD) not in (0, 1):
        raise ValueError("no point on the curve")
    return Ed25519Key(kty="OKP", crv="Ed25519", x=encode_segment(raw).decode())
