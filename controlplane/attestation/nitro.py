"""Attestation documents of AWS Nitro Enclaves (AWS, "Nitro Enclaves attestation process", section 2.2 and 3.2)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from controlplane.attestation.cbor import Tagged, read_cbor
from controlplane.attestation.interface import EvidenceRefused

MAX_DOCUMENT = 16_384
"""Bytes of a document with its signature."""

_COSE_SIGN1 = 18
_PROTECTED = b"\xa1\x01\x38\x22"
"""The one header that is signed: algorithm ES384 (RFC 9053 section 2.1)."""

_CONTEXT = b"\x84\x6aSignature1"
"""An array of four, and the first of them (RFC 9052 section 4.4)."""

_SIGNATURE = 96
_DIGEST = "SHA384"
_PCR_BYTES = 48
_MAX_PCRS = 32
_MAX_BUNDLE = 7
_MAX_TEXT = 128
_MAX_CERTIFICATE = 1024
_YEAR_9999 = 253_402_300_799_000
_MANDATORY = frozenset({"module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle"})
_OPTIONAL = {"public_key": (1, 1024), "user_data": (0, 512), "nonce": (0, 512)}


@dataclass(frozen=True)
class Document:
    """What a document says; nothing vouches for it until its signature and its chain are verified.

    Attributes:
        module_id: names the enclave.
        timestamp: Unix milliseconds, when it was made.
        pcrs: SHA-384 registers by number.
        certificate: in DER, of the key that signed it.
        bundle: in DER, the root first, each next one signed by the one before, down to who signed the certificate.
        public_key: of the enclave's choice; empty where there is none.
        user_data: likewise.
        nonce: likewise.
        signed: what the signature is over.
        signature: two numbers of 48 bytes.
    """

    module_id: str
    timestamp: int
    pcrs: dict[int, bytes]
    certificate: bytes
    bundle: list[bytes]
    public_key: bytes
    user_data: bytes
    nonce: bytes
    signed: bytes
    signature: bytes


def parse_document(data: bytes) -> Document:
    """Return what a document says.

    Args:
        data: a COSE_Sign1 (RFC 9052 section 4.2), tagged or not.

    Raises:
        EvidenceRefused: ``malformed`` or ``unsupported``.
    """
    if len(data) > MAX_DOCUMENT:
        raise EvidenceRefused("malformed", f"the document has {len(data)} bytes, more than {MAX_DOCUMENT}")
    protected, payload, signature = _envelope(read_cbor(data, "the document"))
    found = read_cbor(payload, "what the document signs")
    if not isinstance(found, dict) or not found.keys() >= _MANDATORY or found.keys() - _MANDATORY - _OPTIONAL.keys():
        raise _malformed("it does not have exactly the fields that AWS names")
    if found["digest"] != _DIGEST:
        raise EvidenceRefused("unsupported", "the document's registers are not of SHA384")
    optional = {name: _optional(found.get(name), name, *limits) for name, limits in _OPTIONAL.items()}
    return Document(
        module_id=_checked(found["module_id"], _is_name, "the name of its module is no short text"),
        timestamp=_checked(found["timestamp"], _is_time, "its time is none"),
        pcrs=_checked(found["pcrs"], _are_pcrs, "its registers are not 1 to 32 of 48 bytes each, from 0 to 31"),
        certificate=_checked(found["certificate"], _is_certificate, "its certificate has not 1 to 1024 bytes"),
        bundle=_checked(found["cabundle"], _is_bundle, "its bundle is not 1 to 7 certificates of at most 1024 bytes"),
        signed=_signed(protected, payload),
        signature=signature,
        **optional,
    )


def _envelope(found: Any) -> tuple[bytes, bytes, bytes]:
    """The signed header, what is signed, and the signature."""
    if isinstance(found, Tagged):
        if found.tag != _COSE_SIGN1:
            raise _malformed("its tag is not that of COSE_Sign1")
        found = found.value
    if not isinstance(found, list) or len(found) != 4:
        raise _malformed("it is no COSE_Sign1 of four parts")
    protected, unprotected, payload, signature = found
    if protected != _PROTECTED or unprotected != {}:
        raise EvidenceRefused("unsupported", "the document's headers say something else than ES384")
    if not isinstance(payload, bytes) or not isinstance(signature, bytes) or len(signature) != _SIGNATURE:
        raise _malformed(f"its payload or its signature of {_SIGNATURE} bytes is missing")
    return protected, payload, signature


def _signed(protected: bytes, payload: bytes) -> bytes:
    """What was signed (RFC 9052 section 4.4), with nothing added from outside."""
    return _CONTEXT + b"".join(_string(part) for part in (protected, b"", payload))


def _string(part: bytes) -> bytes:
    """Bytes as CBOR has them, at most `MAX_DOCUMENT`."""
    length = len(part)
    if length < 24:
        return bytes([0x40 | length]) + part
    return (bytes([0x58, length]) if length < 256 else b"\x59" + length.to_bytes(2, "big")) + part


def _checked(value: Any, holds: Callable[[Any], bool], otherwise: str) -> Any:
    if not holds(value):
        raise _malformed(otherwise)
    return value


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _MAX_TEXT and value.isascii() and value.isprintable()


def _is_time(value: Any) -> bool:
    return type(value) is int and 0 < value <= _YEAR_9999


def _are_pcrs(value: Any) -> bool:
    if not isinstance(value, dict) or not 0 < len(value) <= _MAX_PCRS:
        return False
    return all(
        isinstance(index, int) and 0 <= index < _MAX_PCRS and isinstance(pcr, bytes) and len(pcr) == _PCR_BYTES
        for index, pcr in value.items()
    )


def _is_certificate(value: Any) -> bool:
    return isinstance(value, bytes) and 0 < len(value) <= _MAX_CERTIFICATE


def _is_bundle(value: Any) -> bool:
    return isinstance(value, list) and 0 < len(value) <= _MAX_BUNDLE and all(_is_certificate(one) for one in value)


def _optional(value: Any, name: str, least: int, most: int) -> bytes:
    if value is None:
        return b""
    if not isinstance(value, bytes) or not least <= len(value) <= most:
        raise _malformed(f"its {name} has not {least} to {most} bytes")
    return value


def _malformed(words: str) -> EvidenceRefused:
    return EvidenceRefused("malformed", f"the document is no Nitro attestation document: {words}")
