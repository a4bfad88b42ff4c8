"""Certificates of the keys that sign reports: of a chip (VCEK) or of a cloud's provider (VLEK), AMD document 57230."""

from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID, ObjectIdentifier

from controlplane.attestation.certificates import key_on_p384
from controlplane.attestation.interface import EvidenceRefused
from controlplane.attestation.snp.report import VCEK, VLEK, Report
from controlplane.attestation.snp.tcb import CHIP_ID_BYTES, Tcb, product_of, read_tcb

_ARC = "1.3.6.1.4.1.3704.1."
_PRODUCT = ObjectIdentifier(_ARC + "2")
_CHIP = ObjectIdentifier(_ARC + "4")
_PROVIDER = ObjectIdentifier(_ARC + "5")
_VERSIONS = {
    "bootloader": ObjectIdentifier(_ARC + "3.1"),
    "tee": ObjectIdentifier(_ARC + "3.2"),
    "snp": ObjectIdentifier(_ARC + "3.3"),
    "microcode": ObjectIdentifier(_ARC + "3.8"),
    "fmc": ObjectIdentifier(_ARC + "3.9"),
}
_UNUSED = [ObjectIdentifier(f"{_ARC}3.{number}") for number in (4, 5, 6, 7)]
_INTEGER, _UTF8, _IA5 = 0x02, 0x0C, 0x16
_NAMES = {VCEK: "VCEK", VLEK: "VLEK"}


@dataclass(frozen=True)
class Endorsement:
    """What AMD says of a key that signs reports.

    Attributes:
        kind: `VCEK` or `VLEK`.
        product: ``Milan``, ``Genoa`` or ``Turin``.
        tcb: versions that the key was derived from.
        chip_id: of the chip, for a VCEK; else empty.
        provider: of the cloud, for a VLEK; else empty.
        key: on P-384.
    """

    kind: int
    product: str
    tcb: Tcb
    chip_id: bytes
    provider: str
    key: ec.EllipticCurvePublicKey


def read_endorsement(certificate: x509.Certificate) -> Endorsement:
    """Return what a certificate says of its key; that AMD says it is for the caller to verify.

    Raises:
        EvidenceRefused: ``malformed`` or ``unsupported``.
    """
    found = {
        extension.oid: extension.value.value
        for extension in certificate.extensions
        if isinstance(extension.value, x509.UnrecognizedExtension)
    }
    product = _text(found.get(_PRODUCT), "product").split("-")[0]
    if product not in CHIP_ID_BYTES:
        raise EvidenceRefused("unsupported", f"the chip is none of {', '.join(CHIP_ID_BYTES)}")
    if any(_number(found[oid]) for oid in _UNUSED if oid in found):
        raise EvidenceRefused("unsupported", "the chip's certificate has versions of parts that are not known")
    tcb = {name: _number(found[oid]) for name, oid in _VERSIONS.items() if oid in found}
    chip, provider = found.get(_CHIP), found.get(_PROVIDER)
    if (chip is None) == (provider is None):
        raise EvidenceRefused("malformed", "the certificate is neither a chip's (VCEK) nor a provider's (VLEK)")
    kind = VCEK if provider is None else VLEK
    if _is_provided(certificate) != (kind == VLEK):
        raise EvidenceRefused("untrusted", f"the certificate of a {_NAMES[kind]} was signed by AMD's other authority")
    return Endorsement(
        kind=kind,
        product=product,
        tcb=tcb,
        chip_id=b"" if chip is None else _chip(chip, CHIP_ID_BYTES[product]),
        provider="" if provider is None else _text(provider, "provider"),
        key=key_on_p384(certificate, "the certificate of the chip's key"),
    )


def check_endorsed(report: Report, endorsement: Endorsement) -> None:
    """Make sure that a report is of the chip and of the firmware that a key is for.

    Raises:
        EvidenceRefused: ``unbound``: it is not, or ``unsupported``.
    """
    if report.signing_key != endorsement.kind:
        raise EvidenceRefused(
            "unbound",
            f"the report says that a {_NAMES[report.signing_key]} signed it; the certificate is of a "
            f"{_NAMES[endorsement.kind]}",
        )
    if report.cpu is not None and product_of(*report.cpu[:2]) != endorsement.product:
        raise EvidenceRefused("unbound", f"the report is of another processor than {endorsement.product}")
    if read_tcb(report.reported_tcb, endorsement.product) != endorsement.tcb:
        raise EvidenceRefused(
            "unbound",
            "the report is of another TCB than the certificate: get the certificate of the reported TCB",
        )
    if endorsement.kind == VCEK:
        _check_chip(report, endorsement.chip_id)


def _check_chip(report: Report, chip_id: bytes) -> None:
    if report.has_masked_chip:
        raise EvidenceRefused(
            "unbound", "the platform's owner masks which chip it is, so that a chip's certificate proves nothing"
        )
    if report.chip_id != chip_id.ljust(len(report.chip_id), b"\0"):
        raise EvidenceRefused("unbound", "the report is of another chip than the certificate")


def _is_provided(certificate: x509.Certificate) -> bool:
    names = certificate.issuer.get_attributes_for_oid(NameOID.COMMON_NAME)
    return any(str(name.value).startswith("SEV-VLEK") for name in names)


def _number(value: bytes) -> int:
    """A DER INTEGER from 0 to 255."""
    if len(value) == 3 and value[:2] == bytes([_INTEGER, 1]) and value[2] < 0x80:
        return value[2]
    if len(value) == 4 and value[:3] == bytes([_INTEGER, 2, 0]) and value[3] >= 0x80:
        return value[3]
    raise EvidenceRefused("malformed", "a version in the chip's certificate is no number from 0 to 255")


def _text(value: bytes | None, what: str) -> str:
    """A DER string of at most 127 characters."""
    if value is None or not 3 <= len(value) < 130 or value[0] not in (_IA5, _UTF8) or value[1] != len(value) - 2:
        raise EvidenceRefused("malformed", f"the chip's certificate does not say which {what} it is of")
    text = value[2:].decode("ascii", "replace")
    if not text.isascii() or not text.isprintable():
        raise EvidenceRefused("malformed", f"the chip's certificate names its {what} in signs that cannot be printed")
    return text


def _chip(value: bytes, size: int) -> bytes:
    """A chip's id: AMD writes it bare, though its document has an OCTET STRING there; either will do."""
    bare = value[2:] if value[:2] == bytes([0x04, size]) and len(value) == size + 2 else value
    if len(bare) != size or not any(bare):
        raise EvidenceRefused("malformed", "the chip's certificate does not say which chip it is of")
    return bare
