"""The attestation report of AMD SEV-SNP (SEV Secure Nested Paging Firmware ABI, document 56860, ATTESTATION_REPORT)."""

import struct
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from controlplane.attestation.interface import EvidenceRefused

BYTES = 1184
"""Of a report, its signature included; every version has as many."""

SIGNED = 0x2A0
"""Bytes that the signature is over: all before it."""

VERSIONS = (2, 3, 5)
"""Whose layouts are known. 3 adds the processor's family, 5 two vectors of mitigations."""

VCEK, VLEK = 0, 1
"""Values of `Report.signing_key`: the chip's own key, and the key of a cloud's provider."""

_FIELDS = {
    "version": "I",
    "guest_svn": "I",
    "policy": "Q",
    "family_id": "16s",
    "image_id": "16s",
    "vmpl": "I",
    "signature_algorithm": "I",
    "current_tcb": "8s",
    "platform_info": "Q",
    "flags": "I",
    "reserved": "I",
    "report_data": "64s",
    "measurement": "48s",
    "host_data": "32s",
    "id_key_digest": "48s",
    "author_key_digest": "48s",
    "report_id": "32s",
    "agent_id": "32s",
    "reported_tcb": "8s",
    "processor": "24s",
    "chip_id": "64s",
    "committed_tcb": "8s",
    "current_firmware": "4s",
    "committed_firmware": "4s",
    "launch_tcb": "8s",
    "rest": "168s",
}
_LAYOUT = struct.Struct("<" + "".join(_FIELDS.values()))
_READ = {"signature_algorithm", "flags", "reserved", "agent_id", "processor", "current_firmware", "committed_firmware"}
_PLAIN = _FIELDS.keys() - _READ - {"rest"}
"""Fields that are handed on as they are."""

_ECDSA_P384 = 1
_NO_AGENT = b"\xff" * 32
_NUMBER = 72
_COORDINATE = 48
_DEBUG = 1 << 19
_MIGRATABLE = 1 << 18


@dataclass(frozen=True)
class Report:
    """What a report says; nothing vouches for it until its signature is verified.

    Attributes:
        version: of the report.
        guest_svn: security version of the guest, of its owner's choice.
        policy: bits that the guest was started with.
        family_id: of the guest, of its owner's choice.
        image_id: likewise.
        vmpl: privilege level of the software in the guest that asked for the report; 0 is the highest.
        current_tcb: versions of the firmware that runs, 8 bytes that `controlplane.attestation.snp.tcb` reads.
        platform_info: bits of the platform's configuration.
        has_author: whether the author's key is known.
        signing_key: `VCEK` or `VLEK`.
        report_data: 64 bytes of whoever asked for it.
        measurement: SHA-384 over what the guest was started with.
        host_data: 32 bytes of the host's choice at the start.
        id_key_digest: SHA-384 of the key that signed the guest's identity; zeros when none did.
        author_key_digest: SHA-384 of the key that signed that one; zeros when none did.
        report_id: names the guest while it lives.
        has_agent: whether a migration agent is bound to the guest, which could move it elsewhere.
        reported_tcb: versions that the signing key was derived from.
        cpu: family, model and stepping, from version 3 on.
        chip_id: 64 bytes; zeros where the platform's owner masks it.
        committed_tcb: versions below which the platform never goes again.
        current_firmware: major, minor, build.
        committed_firmware: likewise.
        launch_tcb: versions when the guest was started.
        launch_mitigations: bits, from version 5 on.
        current_mitigations: likewise.
        signature: the two numbers of an ECDSA signature.
    """

    version: int
    guest_svn: int
    policy: int
    family_id: bytes
    image_id: bytes
    vmpl: int
    current_tcb: bytes
    platform_info: int
    has_author: bool
    signing_key: int
    report_data: bytes
    measurement: bytes
    host_data: bytes
    id_key_digest: bytes
    author_key_digest: bytes
    report_id: bytes
    has_agent: bool
    reported_tcb: bytes
    cpu: tuple[int, int, int] | None
    chip_id: bytes
    committed_tcb: bytes
    current_firmware: tuple[int, int, int]
    committed_firmware: tuple[int, int, int]
    launch_tcb: bytes
    launch_mitigations: int | None
    current_mitigations: int | None
    signature: tuple[int, int]

    @property
    def is_debugged(self) -> bool:
        """Whether the guest's owner lets the host look into it."""
        return bool(self.policy & _DEBUG)

    @property
    def is_migratable(self) -> bool:
        """Whether the guest's owner lets a migration agent be bound to it."""
        return bool(self.policy & _MIGRATABLE)

    @property
    def has_masked_chip(self) -> bool:
        """Whether the platform's owner hides which chip it is."""
        return not any(self.chip_id)


def parse_report(data: bytes) -> Report:
    """Return what a report says.

    Args:
        data: exactly `BYTES` bytes.

    Raises:
        EvidenceRefused: ``malformed``, ``unsupported``, or ``unbound``: it was not made for software in a guest.
    """
    if len(data) != BYTES:
        raise EvidenceRefused("malformed", f"an SEV-SNP report has {BYTES} bytes, not {len(data)}")
    raw = dict(zip(_FIELDS, _LAYOUT.unpack_from(data), strict=True))
    version, flags = raw["version"], raw["flags"]
    if version not in VERSIONS:
        raise EvidenceRefused("unsupported", f"the report is of version {version}; known are {_listed(VERSIONS)}")
    if raw["signature_algorithm"] != _ECDSA_P384:
        raise EvidenceRefused("unsupported", "the report is not signed with ECDSA over P-384")
    signing_key = _signing_key(flags)
    if raw["vmpl"] > 3:
        raise EvidenceRefused("unbound", "the report was made for the host, not for software in the guest: ask there")
    cpu, (launched, current), unused = _by_version(version, raw["processor"], raw["rest"])
    if raw["reserved"] or any(unused):
        raise EvidenceRefused("unsupported", "the report has something where its version has nothing")
    return Report(
        **{name: raw[name] for name in _PLAIN},
        has_author=bool(flags & 1),
        signing_key=signing_key,
        has_agent=raw["agent_id"] != _NO_AGENT,
        cpu=cpu,
        current_firmware=_firmware(raw["current_firmware"]),
        committed_firmware=_firmware(raw["committed_firmware"]),
        launch_mitigations=launched,
        current_mitigations=current,
        signature=_signature(data[SIGNED:]),
    )


def verify_report(report: Report, data: bytes, key: ec.EllipticCurvePublicKey) -> None:
    """Make sure that a key signed a report.

    Args:
        report: the same, parsed.
        data: its bytes.
        key: of a VCEK or VLEK, on P-384.

    Raises:
        EvidenceRefused: ``signature``.
    """
    try:
        key.verify(encode_dss_signature(*report.signature), data[:SIGNED], ec.ECDSA(hashes.SHA384()))
    except InvalidSignature:
        raise EvidenceRefused("signature", "the key of the certificate did not sign the report") from None


def _signing_key(flags: int) -> int:
    if flags >> 5:
        raise EvidenceRefused("unsupported", "the report's flags of keys have bits that are not known")
    if flags & 2:
        raise EvidenceRefused(
            "unsupported",
            "the platform's owner masks the chip's key, so that no report is signed: clear MaskChipKey",
        )
    signing_key = flags >> 2 & 7
    if signing_key not in (VCEK, VLEK):
        raise EvidenceRefused("unsupported", "the report is signed by neither a VCEK nor a VLEK: ask for one of them")
    return signing_key


def _by_version(
    version: int, processor: bytes, rest: bytes
) -> tuple[tuple[int, int, int] | None, tuple[int | None, int | None], bytes]:
    """The processor, the vectors of mitigations, and what has to be zero."""
    cpu = (processor[0], processor[1], processor[2]) if version >= 3 else None
    unused = processor[3:] if version >= 3 else processor
    if version < 5:
        return cpu, (None, None), unused + rest
    launch, current = struct.unpack_from("<QQ", rest)
    return cpu, (launch, current), unused + rest[16:]


def _firmware(raw: bytes) -> tuple[int, int, int]:
    build, minor, major, reserved = raw
    if reserved:
        raise EvidenceRefused("unsupported", "the report has something where its version has nothing")
    return major, minor, build


def _signature(data: bytes) -> tuple[int, int]:
    """The two numbers, little-endian in more bytes than they need, and nothing but zeros else."""
    first, second, rest = data[:_NUMBER], data[_NUMBER : 2 * _NUMBER], data[2 * _NUMBER :]
    if any(first[_COORDINATE:]) or any(second[_COORDINATE:]) or any(rest):
        raise EvidenceRefused("malformed", "the report's signature has something after its numbers")
    return int.from_bytes(first, "little"), int.from_bytes(second, "little")


def _listed(versions: tuple[int, ...]) -> str:
    return ", ".join(map(str, versions))
