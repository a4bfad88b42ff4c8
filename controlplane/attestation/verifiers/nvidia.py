"""NVIDIA Hopper: a report of measurements over SPDM, and the chain of the GPU's certificates."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from controlplane.attestation.certificates import key_on_p384, read_pem
from controlplane.attestation.chains import Anchors, Chain, Purpose, load_anchors
from controlplane.attestation.interface import EvidenceRefused, Verifier
from controlplane.attestation.nvidia import spdm
from controlplane.attestation.reporting import stated
from controlplane.attestation.revocation import RevocationLists, load_lists
from controlplane.contracts.attestation import Claims

KIND = "nvidia"

CHAIN = 6
"""Certificates that a GPU may send: Hopper's five, and one more."""

_CHAIN_BYTES = 24_576
_WHAT = "the GPU's attestation certificate"
_FWID_OID = x509.ObjectIdentifier("2.23.133.5.4.1")
"""What firmware the key is of (TCG DICE layering architecture, composite device identifier)."""

_FWID, _DRIVER, _VBIOS = 20, 3, 6
_TEXTS = {_DRIVER: "driver", 15: "chip_sku", 16: "chip_sku_mod", 17: "project", 18: "project_sku"}
_BYTES = {4: "gpu_info", 11: "nvdec0", 13: "cpr_info", 14: "board", 19: "project_sku_mod", 21: "protected_pcie"}
_MAX_VALUE = 32


class NvidiaVerifier:
    """Verifies reports of Hopper GPUs.

    Args:
        anchors: NVIDIA's roots of device identities, by name.
        lists: of what these roots revoked, where the operator keeps any.
    """

    kind = KIND
    members: Mapping[str, int] = {"report": spdm.MAX_BYTES, "chain": _CHAIN_BYTES}

    def __init__(self, anchors: Anchors, lists: RevocationLists | None = None) -> None:
        self._anchors = anchors
        self._lists = lists if lists is not None else RevocationLists(anchors, {})

    def verify(self, evidence: Mapping[str, bytes], at: float) -> Claims:
        """See `Verifier.verify`."""
        if evidence.keys() != self.members.keys():
            raise EvidenceRefused("malformed", "the evidence is a report and the GPU's chain of certificates")
        report = spdm.read_report(evidence["report"])
        sent = read_pem(evidence["chain"], "the GPU's chain", CHAIN)
        if len(sent) < 3:
            raise EvidenceRefused("malformed", "the GPU's chain has fewer than 3 certificates; send all that it gives")
        chain = self._anchors.verify(sent, at, _WHAT, Purpose(usage="digital_signature"))
        is_listed = self._lists.check(chain, at)
        _check_signature(report, chain.certificates[0])
        if _FWID not in report.opaque or report.opaque[_FWID] != _fwid(chain.certificates[0]):
            raise EvidenceRefused("unbound", "the report is of other firmware than the key that signed it")
        return _claims(report, chain, is_listed)


def open_verifier(folder: Path) -> Verifier:
    """Return the verifier with the roots and the lists of revoked certificates (``*.crl``) of a folder.

    Raises:
        RootsInvalid: a root, a list or the folder cannot be read.
    """
    anchors = load_anchors(folder)
    return NvidiaVerifier(anchors, load_lists(folder, anchors))


def _check_signature(report: spdm.Report, leaf: x509.Certificate) -> None:
    key = key_on_p384(leaf, _WHAT)
    half = len(report.signature) // 2
    r, s = (int.from_bytes(part, "big") for part in (report.signature[:half], report.signature[half:]))
    try:
        key.verify(encode_dss_signature(r, s), report.signed, ec.ECDSA(hashes.SHA384()))
    except InvalidSignature:
        raise EvidenceRefused("signature", "the GPU did not sign this report") from None


def _fwid(leaf: x509.Certificate) -> bytes | None:
    """The digest of the firmware that the key belongs to: the last of what the extension holds, SHA-384."""
    try:
        value = leaf.extensions.get_extension_for_oid(_FWID_OID).value
    except x509.ExtensionNotFound:
        return None
    raw = value.value if isinstance(value, x509.UnrecognizedExtension) else b""
    return raw[-48:] if raw[-50:-48] == b"\x04\x30" else None


def _claims(report: spdm.Report, chain: Chain, is_listed: bool) -> Claims:
    return stated(
        kind=KIND,
        anchor=chain.anchor,
        platform=_platform(chain.certificates[1]),
        bound=report.nonce.hex(),
        debug=False,
        status="unstated",
        measurements={f"index{index}": digest.hex() for index, digest in sorted(report.measurements.items())},
        versions={},
        attributes={
            **_attributes(report.opaque),
            **_chip(chain.certificates[1]),
            "revocation": "checked" if is_listed else "unchecked",
        },
        advisories=[],
    )


def _platform(device: x509.Certificate) -> str:
    """The digest of the key that is burnt into the chip; that above it changes with the firmware."""
    key = device.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(key).hexdigest()


def _chip(device: x509.Certificate) -> dict[str, str]:
    """What its maker calls the chip: the root vouches for other generations, and for switches, too."""
    names = [str(name.value) for name in device.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return {"chip": names[0]} if len(names) == 1 else {}


def _attributes(opaque: Mapping[int, bytes]) -> dict[str, str]:
    found = {name: _text(opaque[kind], name) for kind, name in _TEXTS.items() if kind in opaque}
    found |= {name: opaque[kind].hex() for kind, name in _BYTES.items() if 0 < len(opaque.get(kind, b"")) <= _MAX_VALUE}
    if _DRIVER not in opaque or len(opaque.get(_VBIOS, b"")) != 8:
        raise EvidenceRefused("unsupported", "the report does not state the driver's and the VBIOS's versions")
    return {
        **{name: value for name, value in found.items() if value},
        "vbios": _vbios(opaque[_VBIOS]),
        "fwid": opaque[_FWID].hex(),
    }


def _text(raw: bytes, name: str) -> str:
    text = raw.rstrip(b"\0").decode("ascii", "replace")
    if len(text) > _MAX_VALUE or not text.isprintable():
        raise EvidenceRefused("malformed", f"{name.replace('_', ' ')} in the report is no short text")
    return text


def _vbios(raw: bytes) -> str:
    """As the driver's tools print it: four bytes, last first, and one more."""
    return ".".join(f"{byte:02x}" for byte in (raw[3], raw[2], raw[1], raw[0], raw[4]))
