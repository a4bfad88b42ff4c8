"""Manufacturers' certificates: the identity that a device left the factory with (IEEE 802.1AR, RFC 5280).

What leads to a root has to be sent along (`controlplane.pki.paths`).
"""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from controlplane.contracts.facts.enrolment import MAX_CLAIM_CHARS, CertificateCause, CertificateFact
from controlplane.contracts.identity import MAX_CERTIFICATES, PublicKey
from controlplane.jose.keys import to_public
from controlplane.pki.faults import FAULTS
from controlplane.pki.paths import LeafRules, NamedRoots, PathRefused

MAX_ROOTS = 16
"""Roots of one manufacturer."""

MAX_MANUFACTURERS = 256

CAUSES: dict[CertificateCause, str] = {
    "malformed": "one of the certificates is no X.509 certificate in PEM, or its DER in canonical base64",
    "too_long": f"a chain has at most {MAX_CERTIFICATES} certificates",
    "untrusted": "they do not lead to a root of an accepted manufacturer, or one of them is not for that",
    "unordered": "they are not exactly the chain: the device's own first, each next one the issuer of the one before",
    "wrong_key": "the device's certificate is for another key than the one that signed the request's proof",
    "subject_unreadable": "the subject of the device's certificate is longer than 256 characters, or not printable",
    "expired": "the device's certificate has expired",
    "not_yet_valid": "the device's certificate is not valid yet; compare the clocks",
}
"""What is said to whoever showed it."""

_SETTING = "ZTFM_MANUFACTURERS_DIR"
_NAME = re.compile(r"[a-z][a-z0-9_:.-]{0,63}")
_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
_OF_DEVICES = LeafRules(purpose=ExtendedKeyUsageOID.CLIENT_AUTH, states_usage=False)
"""For showing who one is. Factories' certificates often have no name that a browser would look at and no purposes, and
they never end (IEEE 802.1AR section 8); what is there must fit."""

_NOTHING = CertificateFact(
    valid=False,
    cause="malformed",
    manufacturer="",
    subject="",
    serial="",
    device="",
    key_bound=False,
    expires_at=0.0,
)


class ManufacturersInvalid(Exception):  # noqa: N818 - a state, as callers see it
    """The folder of manufacturers cannot be used. The message names the file and the remedy."""


@dataclass(frozen=True, slots=True)
class Examined:
    """A chain in facts, and in words.

    Attributes:
        fact: for policy.
        words: why it is not valid, for whoever showed it; empty when it is.
    """

    fact: CertificateFact
    words: str


class _Invalid(Exception):  # noqa: N818 - named for what happened
    def __init__(self, cause: CertificateCause) -> None:
        super().__init__(cause)
        self.cause: CertificateCause = cause


class Manufacturers:
    """Examines chains of certificates.

    Args:
        roots: each manufacturer's, by the manufacturer's name in policy's data.
    """

    def __init__(self, roots: Mapping[str, Sequence[x509.Certificate]]) -> None:
        self._roots = NamedRoots(roots, _OF_DEVICES, MAX_CERTIFICATES - 2)

    def examine(self, certificates: Sequence[str], holder: PublicKey, now: float) -> Examined:
        """Return what a chain says of the holder of a key.

        Args:
            certificates: the device's own first, each PEM or base64 of DER.
            holder: the key that signed the request's own proof.
            now: Unix seconds.
        """
        fact = _NOTHING
        try:
            chain = _read(certificates)
            fact = self._verified(chain, now)
            if _key_of(chain[0]) != holder:
                raise _Invalid("wrong_key")
        except _Invalid as invalid:
            return Examined(fact.model_copy(update={"valid": False, "cause": invalid.cause}), CAUSES[invalid.cause])
        return Examined(fact.model_copy(update={"valid": True, "cause": "", "key_bound": True}), "")

    def _verified(self, chain: Sequence[x509.Certificate], now: float) -> CertificateFact:
        leaf, *above = chain
        try:
            found = self._roots.path(leaf, above, now)
        except PathRefused as refused:
            raise _Invalid(refused.fault) from None
        # A certificate that leads nowhere would be one that nobody verified.
        if tuple(chain) not in (found.certificates, found.certificates[:-1]):
            raise _Invalid("unordered")
        return _fact(leaf, found.anchor)


def load_manufacturers(folder: Path | None) -> Manufacturers:
    """Return the manufacturers whose roots lie in a folder: ``NAME.pem``, one or several certificates each.

    Args:
        folder: theirs; none for nobody.

    Raises:
        ManufacturersInvalid: it cannot be read, or a file is no such thing.
    """
    if folder is None:
        return Manufacturers({})
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix == ".pem")
        found = {path.stem: _roots(path) for path in files[: MAX_MANUFACTURERS + 1]}
    except OSError as error:
        raise ManufacturersInvalid(f"{_SETTING}: {error.filename} cannot be read: {error.strerror}") from None
    if len(files) > MAX_MANUFACTURERS:
        raise ManufacturersInvalid(f"{_SETTING}: {folder} has more than {MAX_MANUFACTURERS} files")
    held = [root for roots in found.values() for root in set(roots)]
    if len(held) != len(set(held)):
        raise ManufacturersInvalid(f"{_SETTING}: two files of {folder} hold one root: keep it in one")
    return Manufacturers(found)


def _roots(path: Path) -> list[x509.Certificate]:
    what = f"{_SETTING}: {path}"
    if not _NAME.fullmatch(path.stem):
        raise ManufacturersInvalid(f"{what}: a manufacturer's name is a-z, then at most 63 of a-z, 0-9 and _:.-")
    try:
        roots = x509.load_pem_x509_certificates(path.read_bytes())
    except FAULTS:
        raise ManufacturersInvalid(f"{what} holds no certificates in PEM. Put the manufacturer's roots there") from None
    if len(roots) > MAX_ROOTS:
        raise ManufacturersInvalid(f"{what} holds more than {MAX_ROOTS} certificates. Put the roots alone there")
    return roots


def _read(certificates: Sequence[str]) -> list[x509.Certificate]:
    if len(certificates) > MAX_CERTIFICATES:
        raise _Invalid("too_long")
    if not certificates:
        raise _Invalid("malformed")
    try:
        return [_load(_der(text)) for text in certificates]
    except FAULTS:
        raise _Invalid("malformed") from None


def _load(der: bytes) -> x509.Certificate:
    """Return a certificate.

    Raises:
        ValueError: it is none, or its signature is not a whole number of bytes: a count of unused bits, where these are
            0, would be a second spelling of the same.
    """
    certificate = x509.load_der_x509_certificate(der)
    if not der.endswith(b"\x00" + certificate.signature):
        raise ValueError("not a whole number of bytes")
    return certificate


def _der(text: str) -> bytes:
    """Return the DER of a certificate, of which each text form has one spelling.

    Raises:
        ValueError: it has another.
    """
    lines = text.removesuffix("\n").replace("\r\n", "\n").split("\n")
    is_pem = len(lines) > 2 and (lines[0], lines[-1]) == (_BEGIN, _END)
    body = "".join(lines[1:-1]) if is_pem else text
    der = base64.b64decode(body, validate=True)
    if base64.b64encode(der).decode() != body:
        raise ValueError("not canonical base64")
    return der


def _key_of(leaf: x509.Certificate) -> PublicKey | None:
    key = leaf.public_key()
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        return None
    return to_public(key)


def _fact(leaf: x509.Certificate, manufacturer: str) -> CertificateFact:
    try:
        subject = leaf.subject.rfc4514_string()
        numbers = [str(found.value) for found in leaf.subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER)]
    except FAULTS:
        raise _Invalid("subject_unreadable") from None
    device = numbers[0] if numbers else ""
    is_short = len(subject) <= MAX_CLAIM_CHARS and len(device) <= 64 and len(numbers) <= 1
    # In the subject some characters that cannot be printed are escaped; in the device's own number none is.
    if not is_short or not subject.isprintable() or not device.isascii() or not device.isprintable():
        raise _Invalid("subject_unreadable")
    return CertificateFact(
        valid=False,
        cause="",
        manufacturer=manufacturer,
        subject=subject,
        serial=f"{leaf.serial_number:x}",
        device=device,
        key_bound=False,
        expires_at=leaf.not_valid_after_utc.timestamp(),
    )
