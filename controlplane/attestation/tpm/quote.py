"""A TPM's quote: what it says, who signed it, and whether it is of the register values that are shown beside it.

`parse_quote`, then `verify_signature`, whose answer is the hash that `check_pcrs` needs. After all three, the values
are those that the holder of the key had when it signed; `Quote.extra_data` says what for.

Structures are those of TPM 2.0 part 2: TPMS_ATTEST (10.12.12), TPMS_QUOTE_INFO (10.12.4), TPML_PCR_SELECTION (10.9.7),
TPMT_SIGNATURE (11.3.4).
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from controlplane.attestation.interface import EvidenceRefused
from controlplane.attestation.tpm.algorithms import DIGEST_BYTES, HASHES
from controlplane.attestation.tpm.reading import Reader
from controlplane.attestation.tpm.signatures import parse_signature

MAX_MESSAGE = 1024
"""Bytes of a TPMS_ATTEST; what we read of one is at most a few hundred."""

_MAGIC = 0xFF544347
_QUOTE = 0x8018
_MAX_NAME = 66
_MAX_EXTRA = 66
_MAX_BITMAP = 4


@dataclass(frozen=True)
class Quote:
    """What a TPM says of itself and of some of its platform configuration registers.

    Attributes:
        signer: qualified name of the key that signed it: its place below the hierarchy that holds it.
        extra_data: what whoever asked for it gave: ours is `controlplane.attestation.binding.binding`.
        clock: milliseconds that the TPM has been powered.
        resets: how often it was reset. This, the next one and the version of its firmware are true for keys of the
            endorsement hierarchy alone; for others the TPM blurs them (part 1, section 36.7).
        restarts: since the last reset.
        is_safe: the clock was never set back.
        firmware: version of the TPM's firmware, 64 bits that its maker gives a meaning.
        bank: hash of the registers, ``sha256`` or ``sha384``.
        pcrs: which registers, ascending; at least one.
        digest: over their values.
    """

    signer: bytes
    extra_data: bytes
    clock: int
    resets: int
    restarts: int
    is_safe: bool
    firmware: int
    bank: str
    pcrs: tuple[int, ...]
    digest: bytes


def parse_quote(message: bytes) -> Quote:
    """Return what a TPMS_ATTEST of type quote says; nothing vouches for it yet.

    Raises:
        EvidenceRefused: ``malformed``, or ``unsupported``: it is of registers of another hash than SHA-256 and SHA-384,
            or of those of several.
    """
    if len(message) > MAX_MESSAGE:
        raise EvidenceRefused("malformed", f"the quote has {len(message)} bytes, more than {MAX_MESSAGE}")
    reader = Reader(message, "the quote")
    if reader.number(4, "its magic") != _MAGIC:
        raise EvidenceRefused(
            "malformed", "the quote was not made by a TPM: its first four bytes are not TPM_GENERATED"
        )
    if reader.number(2, "its type") != _QUOTE:
        raise EvidenceRefused("malformed", "what the TPM signed is no quote, but another attestation")
    signer = reader.sized(_MAX_NAME, "the signer's name")
    extra = reader.sized(_MAX_EXTRA, "the extra data")
    clock = reader.number(8, "the clock")
    resets, restarts = reader.number(4, "the resets"), reader.number(4, "the restarts")
    is_safe = reader.number(1, "the clock's state")
    if is_safe > 1:
        raise EvidenceRefused("malformed", "the quote's clock is neither safe nor unsafe")
    firmware = reader.number(8, "the firmware's version")
    bank, pcrs = _selection(reader)
    digest = reader.sized(max(DIGEST_BYTES.values()), "the digest")
    reader.end()
    return Quote(signer, extra, clock, resets, restarts, is_safe == 1, firmware, bank, pcrs, digest)


def composite(quote: Quote, values: Mapping[int, bytes], hashed_with: str) -> bytes:
    """Return the digest that a quote has over register values (part 1, section 17.7).

    Args:
        quote: says which registers.
        values: by number; those of the quote.
        hashed_with: the hash of the signature's scheme.
    """
    return hashlib.new(hashed_with, b"".join(values[index] for index in quote.pcrs)).digest()


def check_pcrs(quote: Quote, values: Mapping[int, bytes], hashed_with: str) -> None:
    """Make sure that a quote is of exactly these register values.

    Args:
        quote: with a signature that verifies.
        values: by number, each as long as a digest of the quote's bank.
        hashed_with: what `verify_signature` returned.

    Raises:
        EvidenceRefused: ``malformed``, or ``unbound``: the quote is of other values, or of other registers.
    """
    if sorted(values) != list(quote.pcrs):
        raise EvidenceRefused(
            "unbound", f"the quote is of the registers {_listed(quote.pcrs)}, not of {_listed(sorted(values))}"
        )
    size = DIGEST_BYTES[quote.bank]
    if wrong := [index for index in quote.pcrs if len(values[index]) != size]:
        raise EvidenceRefused("malformed", f"register {wrong[0]} does not have the {size} bytes of {quote.bank}")
    if not hmac.compare_digest(composite(quote, values, hashed_with), quote.digest):
        raise EvidenceRefused("unbound", "the quote is of other register values than those that are shown with it")


def split_pcrs(quote: Quote, joined: bytes) -> dict[int, bytes]:
    """Return register values by number, out of the values one after another in the order of the registers.

    Raises:
        EvidenceRefused: ``malformed``: they are not as many as the quote has registers.
    """
    size = DIGEST_BYTES[quote.bank]
    if len(joined) != size * len(quote.pcrs):
        raise EvidenceRefused(
            "malformed",
            f"the register values have {len(joined)} bytes; {len(quote.pcrs)} of {quote.bank} have "
            f"{size * len(quote.pcrs)}",
        )
    return {index: joined[at * size : (at + 1) * size] for at, index in enumerate(quote.pcrs)}


def verify_signature(public_key: RSAPublicKey | EllipticCurvePublicKey, signature: bytes, message: bytes) -> str:
    """Return the hash of a signature's scheme, ``sha256`` or ``sha384``, once the signature verifies.

    Args:
        public_key: of the attestation key.
        signature: a TPMT_SIGNATURE (RSASSA, RSAPSS or ECDSA); or, for an RSA key, as many bytes as the key has:
            PKCS #1 with SHA-256 and nothing around it.
        message: what was signed.

    Raises:
        EvidenceRefused: ``malformed``, ``unsupported``, or ``signature``: it is not of this key over this message.
    """
    return parse_signature(signature, public_key).verify(public_key, message)


def _selection(reader: Reader) -> tuple[str, tuple[int, ...]]:
    count = reader.number(4, "the number of banks")
    if count != 1:
        raise EvidenceRefused("unsupported", f"the quote is of registers of {count} banks; quote those of one")
    algorithm = reader.number(2, "the bank")
    bitmap = reader.sized(_MAX_BITMAP, "the selection of registers", size=1)
    if algorithm not in HASHES:
        raise EvidenceRefused(
            "unsupported", f"the quote is of the bank 0x{algorithm:04x}; quote that of sha256 or sha384"
        )
    pcrs = tuple(at * 8 + bit for at, byte in enumerate(bitmap) for bit in range(8) if byte >> bit & 1)
    if not pcrs:
        raise EvidenceRefused("malformed", "the quote is of no register")
    return HASHES[algorithm], pcrs


def _listed(indices: object) -> str:
    return ", ".join(map(str, indices)) if isinstance(indices, (tuple, list)) and indices else "none"
