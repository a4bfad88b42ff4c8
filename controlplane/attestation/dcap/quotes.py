"""The layout of a quote, all of it: nothing in it is left unread (Intel's DCAP quoting library reference, appendix A).

`dcap-qvl` verifies what a quote says; it overlooks what lies around that, such as bytes after the end. Every length and
every type is held to here, so that no bit of a quote can change unseen.
"""

from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from controlplane.attestation.certificates import read_pem
from controlplane.attestation.interface import EvidenceRefused
from controlplane.attestation.tpm.reading import Reader

MAX_BYTES = 32_768
"""Of a quote."""

CHAIN = 3
"""Certificates in a quote: of the platform's key, of the authority that certified it, and the root."""

SGX, TDX = 0x00000000, 0x00000081

_SGX_BODY, _TD10_BODY, _TD15_BODY = 384, 584, 648
_TDX_BODIES = {2: _TD10_BODY, 3: _TD15_BODY}
_AUTHENTICATION = 32
_QE_REPORT_DATA, _PEM_CHAIN = 6, 5
_ECDSA_P256 = 2
_CHAIN_BYTES = 16_384


@dataclass(frozen=True, slots=True)
class Quote:
    """A quote of which nothing is verified yet.

    Attributes:
        whole: its bytes, without the zeros that may follow.
        version: of its layout.
        tee: `SGX` or `TDX`.
        body: the report of the enclave, or of the guest.
        chain: the platform's certificates, leaf first.
    """

    whole: bytes
    version: int
    tee: int
    body: bytes
    chain: tuple[x509.Certificate, ...]


def read_quote(data: bytes) -> Quote:
    """Return the parts of a quote of version 3 (SGX), or 4 or 5 (TDX), with its certificates in it.

    Zeros may follow it, as platforms fill their buffers; anything else may not.

    Raises:
        EvidenceRefused: ``malformed``, or ``unsupported`` for another version, key or kind.
    """
    reader = Reader(data, "the quote", "little")
    version, key_type = reader.number(2, "its version"), reader.number(2, "its key's type")
    tee = reader.number(4, "its kind")
    reader.take(40, "its header")
    if key_type != _ECDSA_P256:
        raise EvidenceRefused("unsupported", "the quote is signed with another kind of key than ECDSA on P-256")
    body = _body(reader, version, tee)
    signature = Reader(reader.sized(MAX_BYTES, "its signature data", 4), "the quote's signature data", "little")
    signature.take(128, "the signature and the attestation key")
    if version != 3:
        signature = _inner(signature)
    chain = _chain(signature)
    end = len(data) - reader.left
    if any(data[end:]):
        raise EvidenceRefused("malformed", "the quote goes on after its end; send it as the platform made it")
    return Quote(data[:end], version, tee, body, chain)


def _body(reader: Reader, version: int, tee: int) -> bytes:
    if (version, tee) == (3, SGX):
        return reader.take(_SGX_BODY, "the enclave's report")
    if (version, tee) == (4, TDX):
        return reader.take(_TD10_BODY, "the guest's report")
    if (version, tee) == (5, TDX):
        size = _TDX_BODIES.get(reader.number(2, "the type of its body"))
        if size is None or reader.number(4, "the length of its body") != size:
            raise EvidenceRefused("unsupported", "the quote's body is no TD report 1.0 or 1.5")
        return reader.take(size, "the guest's report")
    raise EvidenceRefused("unsupported", "the quote is not of version 3 for SGX, or 4 or 5 for TDX")


def _inner(outer: Reader) -> Reader:
    """From version 4 on, what vouches for the attestation key is wrapped once more."""
    if outer.number(2, "the type of its certification data") != _QE_REPORT_DATA:
        raise EvidenceRefused("unsupported", "the quote's certification data holds no report of the quoting enclave")
    inner = outer.sized(_CHAIN_BYTES + 1024, "its certification data", 4)
    outer.end()
    return Reader(inner, "the quote's certification data", "little")


def _chain(reader: Reader) -> tuple[x509.Certificate, ...]:
    reader.take(_SGX_BODY + 64, "the quoting enclave's report")
    if len(reader.sized(_AUTHENTICATION, "its authentication data")) != _AUTHENTICATION:
        raise EvidenceRefused("malformed", f"the quote's authentication data has not {_AUTHENTICATION} bytes")
    if reader.number(2, "the type of the certificates") != _PEM_CHAIN:
        raise EvidenceRefused(
            "unsupported", "the quote holds no certificates; let the platform's quoting library put them in"
        )
    text = reader.sized(_CHAIN_BYTES, "its certificates", 4)
    reader.end()
    found = tuple(read_pem(text.removesuffix(b"\0"), "the quote's chain", CHAIN))
    if len(found) != CHAIN:
        raise EvidenceRefused("malformed", f"the quote's chain has {len(found)} certificates instead of {CHAIN}")
    return found


def der(certificate: x509.Certificate) -> bytes:
    """Return a certificate's bytes."""
    return certificate.public_bytes(Encoding.DER)
