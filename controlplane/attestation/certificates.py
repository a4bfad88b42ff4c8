"""Certificates as evidence and folders of roots hold them: X.509 in DER or PEM, each in its one spelling."""

import base64
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from controlplane.attestation.interface import EvidenceRefused
from controlplane.pki.faults import FAULTS

MAX_BYTES = 8192
"""Bytes of one certificate in DER."""

MAX_FILE = 1 << 20
"""Bytes of a file of roots, or of a list of revoked certificates."""

_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
_FILTERS = threading.Lock()


class RootsInvalid(Exception):  # noqa: N818 - a state, as callers see it
    """A folder of roots, or of what belongs to them, cannot be used. The message names the file and the remedy."""


def read_certificate(der: bytes, what: str) -> x509.Certificate:
    """Return a certificate of which every bit counts: no second spelling of it is taken.

    Args:
        der: its bytes.
        what: names it in refusals, such as ``the VCEK``.

    Raises:
        EvidenceRefused: ``malformed``.
    """
    try:
        if len(der) > MAX_BYTES:
            raise ValueError("too long")
        with _without_warnings():
            certificate = x509.load_der_x509_certificate(der)
            # What `cryptography` would read only later.
            _ = certificate.extensions, certificate.issuer, certificate.subject, certificate.version
            _ = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        signed = certificate.tbs_certificate_bytes
        check_spelling(der, signed, _algorithm_at(signed), certificate.signature)
    except FAULTS:
        raise EvidenceRefused("malformed", f"{what} is no X.509 certificate in canonical DER") from None
    return certificate


def serial_of(certificate: x509.Certificate) -> int:
    """Return the serial number of a certificate, which may be 0."""
    with _without_warnings():
        return certificate.serial_number


def key_on_p384(certificate: x509.Certificate, what: str) -> ec.EllipticCurvePublicKey:
    """Return the key of a certificate, on P-384.

    Raises:
        EvidenceRefused: ``unsupported``: it is another.
    """
    try:
        key = certificate.public_key()
    except FAULTS:
        key = None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
        raise EvidenceRefused("unsupported", f"{what} is not of a key on P-384")
    return key


def read_pem(text: bytes, what: str, limit: int) -> list[x509.Certificate]:
    """Return the certificates of a text in PEM, which has nothing but them.

    Args:
        text: its bytes.
        what: names it in refusals.
        limit: the most certificates that there may be.

    Raises:
        EvidenceRefused: ``malformed``: there are none or too many, or there is something else.
    """
    try:
        lines = text.decode("ascii").replace("\r\n", "\n").removesuffix("\n").split("\n")
        found = _blocks(lines, limit)
    except ValueError:
        raise EvidenceRefused(
            "malformed", f"{what} is not 1 to {limit} certificates in PEM and nothing between them"
        ) from None
    return [read_certificate(der, f"certificate {number} of {what}") for number, der in enumerate(found, 1)]


def load_folder(folder: Path, limit: int) -> dict[str, list[x509.Certificate]]:
    """Return the certificates of each ``NAME.pem`` of a folder, by the name of the anchor, which is the file's.

    Args:
        folder: the roots of one kind of evidence.
        limit: the most certificates that a file may have.

    Raises:
        RootsInvalid: it cannot be read, or a file is no such thing.
    """
    found: dict[str, list[x509.Certificate]] = {}
    for path in files_of(folder, ".pem"):
        try:
            found[path.stem] = read_pem(read_file(path), str(path), limit)
        except EvidenceRefused as refused:
            raise RootsInvalid(f"{refused.words}. Put the roots alone there") from None
    return found


def files_of(folder: Path, suffix: str) -> list[Path]:
    """Return the files of a folder that end so, by name; none when there is no such folder.

    Raises:
        RootsInvalid: it cannot be read.
    """
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == suffix) if folder.exists() else []
    except OSError as error:
        raise RootsInvalid(f"{folder} cannot be read: {error.strerror}") from None


def read_file(path: Path) -> bytes:
    """Return the bytes of a file of roots or of collateral.

    Raises:
        RootsInvalid: it cannot be read, or has more than `MAX_FILE` bytes.
    """
    try:
        with path.open("rb") as opened:
            data = opened.read(MAX_FILE + 1)
    except OSError as error:
        raise RootsInvalid(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > MAX_FILE:
        raise RootsInvalid(f"{path} has more than {MAX_FILE} bytes")
    return data


def check_spelling(der: bytes, signed: bytes, algorithm_at: int, signature: bytes) -> None:
    """Make sure that a certificate or a list is what is signed, its algorithm again, its signature, and nothing else.

    The signature is a whole number of bytes: a count of unused bits, where these are 0, would be a second spelling.

    Args:
        der: all of it.
        signed: the part that is signed.
        algorithm_at: where in that part its own algorithm lies.
        signature: over that part.

    Raises:
        ValueError: it is otherwise.
    """
    algorithm = signed[algorithm_at : skip(signed, algorithm_at)]
    if der != _value(0x30, signed + algorithm + _value(0x03, b"\0" + signature)):
        raise ValueError("another spelling")


def skip(der: bytes, at: int) -> int:
    """Return where the next value begins, after the one at some place in DER.

    Raises:
        ValueError: there is no such value.
    """
    return _body(der, at)[1]


def body_of(der: bytes, at: int) -> int:
    """Return where the content begins of the value at some place in DER.

    Raises:
        ValueError: there is no such value.
    """
    return _body(der, at)[0]


@contextmanager
def _without_warnings() -> Iterator[None]:
    """`cryptography` warns of the serial number 0, which AMD's certificates of chips have, and of odd parts of names.

    Filters of warnings are the process's, so that no two threads may change them at once.
    """
    with _FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def _algorithm_at(signed: bytes) -> int:
    """Where in what is signed of a certificate its algorithm lies: after its version, if any, and its number."""
    at = body_of(signed, 0)
    if signed[at : at + 1] == b"\xa0":
        at = skip(signed, at)
    return skip(signed, at)


def _value(tag: int, content: bytes) -> bytes:
    length = len(content)
    many = (length.bit_length() + 7) // 8 if length >= 0x80 else 0
    size = bytes([0x80 | many]) + length.to_bytes(many, "big") if many else bytes([length])
    return bytes([tag]) + size + content


def _body(der: bytes, at: int) -> tuple[int, int]:
    """Where the content of the value at some place begins, and where it ends."""
    if at + 2 > len(der):
        raise ValueError("no value")
    first = der[at + 1]
    many = first & 0x7F if first & 0x80 else 0
    length = int.from_bytes(der[at + 2 : at + 2 + many], "big") if many else first
    if first == 0x80 or (many and (length < 0x80 or length >> 8 * (many - 1) == 0)):
        raise ValueError("no length, or a longer one than needed")
    start = at + 2 + many
    if start + length > len(der):
        raise ValueError("cut short")
    return start, start + length


def _blocks(lines: list[str], limit: int) -> list[bytes]:
    """The DER of each block; in the one spelling that PEM has of it (RFC 7468 section 3, strict form)."""
    found: list[bytes] = []
    while lines:
        end = lines.index(_END)
        body = lines[1:end]
        if lines[0] != _BEGIN or len(found) == limit or any(len(line) != 64 for line in body[:-1]):
            raise ValueError("something else")
        der = base64.b64decode("".join(body), validate=True)
        if base64.b64encode(der).decode() != "".join(body):
            raise ValueError("not canonical base64")
        found.append(der)
        lines = lines[end + 1 :]
    return found
