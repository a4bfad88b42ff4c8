"""The report of an Azure confidential virtual machine: an SEV-SNP report, and the runtime data that it vouches for.

The firmware below the guest (the paravisor, HCL) makes both at boot and keeps them in the virtual TPM at the index
0x01400001: a header, the hardware's report, a header of the runtime data, the runtime data as JSON, and zeros.
"""

import base64
import hashlib
import hmac
import struct
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers

from controlplane.attestation.interface import EvidenceRefused
from controlplane.attestation.snp.report import BYTES
from controlplane.contracts.unambiguous import read_json

MAX_REPORT = 16_384
"""Bytes of such a report. It is one of 2600 in the TPM."""

_HEADER = struct.Struct("<4sIIII12s")
_RUNTIME = struct.Struct("<IIIII")
_MAGIC, _VERSION, _AK_REQUEST = b"HCLA", 1, 2
_SNP, _SHA256 = 2, 1
_ATTESTATION_KEY = "HCLAkPub"
_RSA_BITS = range(2048, 4097)
_EXPONENT = 65537
_WORDS = {"secure-boot": "secure_boot", "console-enabled": "console", "tpm-enabled": "tpm"}
_CHARS = 128


@dataclass(frozen=True)
class HclReport:
    """The parts of one; nothing vouches for them yet.

    Attributes:
        hardware: the SEV-SNP report.
        runtime: JSON, of which the report data has the SHA-256.
    """

    hardware: bytes
    runtime: bytes


@dataclass(frozen=True)
class Runtime:
    """What the firmware below the guest says of itself and of the virtual TPM.

    Attributes:
        attestation_key: of the virtual TPM.
        attributes: of the machine's configuration, such as ``secure_boot``.
    """

    attestation_key: RSAPublicKey
    attributes: dict[str, str]


def parse_hcl(data: bytes) -> HclReport:
    """Return the parts of a report.

    Raises:
        EvidenceRefused: ``malformed`` or ``unsupported``.
    """
    start = _HEADER.size + BYTES + _RUNTIME.size
    if not start < len(data) <= MAX_REPORT:
        raise EvidenceRefused("malformed", f"an HCL report has {start} to {MAX_REPORT} bytes, not {len(data)}")
    magic, version, size, request, status, reserved = _HEADER.unpack_from(data)
    part, part_version, kind, hashed, length = _RUNTIME.unpack_from(data, _HEADER.size + BYTES)
    if magic != _MAGIC:
        raise EvidenceRefused("malformed", "the HCL report does not begin with HCLA: read index 0x01400001 of the TPM")
    if (version, part_version, request) != (_VERSION, _VERSION, _AK_REQUEST) or status or any(reserved):
        raise EvidenceRefused("unsupported", "the HCL report's headers are of an unknown version or purpose")
    if kind != _SNP or hashed != _SHA256:
        raise EvidenceRefused("unsupported", "the HCL report is not of SEV-SNP with SHA-256 over its runtime data")
    end = start + length
    if end > len(data) or part != _RUNTIME.size + length or size != end or any(data[end:]):
        raise EvidenceRefused("malformed", "the HCL report's lengths do not fit it, or something goes on after its end")
    return HclReport(hardware=data[_HEADER.size : _HEADER.size + BYTES], runtime=data[start:end])


def check_runtime(report: HclReport, report_data: bytes) -> Runtime:
    """Return what the runtime data says, once a verified SEV-SNP report vouches for it.

    Args:
        report: its parts.
        report_data: of the verified report.

    Raises:
        EvidenceRefused: ``unbound``: the report vouches for other data; ``malformed`` or ``unsupported``.
    """
    digest = hashlib.sha256(report.runtime).digest()
    if not hmac.compare_digest(digest.ljust(len(report_data), b"\0"), report_data):
        raise EvidenceRefused("unbound", "the SEV-SNP report vouches for other runtime data than that beside it")
    try:
        found = read_json(report.runtime)
        keys = [key for key in found["keys"] if key["kid"] == _ATTESTATION_KEY]
        (key,) = keys
        machine = found.get("vm-configuration", {})
        return Runtime(_key(key), _attributes(machine))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise EvidenceRefused("malformed", "the runtime data is no JSON with one key named HCLAkPub") from None


def _key(jwk: dict[str, Any]) -> RSAPublicKey:
    if jwk["kty"] != "RSA" or jwk.get("key_ops", ["sign"]) != ["sign"]:
        raise ValueError("another key")
    modulus, exponent = (int.from_bytes(_decoded(jwk[name]), "big") for name in ("n", "e"))
    if modulus.bit_length() not in _RSA_BITS or exponent != _EXPONENT:
        raise EvidenceRefused("unsupported", "the virtual TPM's key is not RSA of 2048 to 4096 bits")
    return RSAPublicNumbers(exponent, modulus).public_key()


def _attributes(machine: dict[str, Any]) -> dict[str, str]:
    said = {ours: machine[theirs] for theirs, ours in _WORDS.items() if theirs in machine}
    if not all(isinstance(value, bool) for value in said.values()):
        raise ValueError("not a boolean")
    found = {name: "enabled" if value else "disabled" for name, value in said.items()}
    name = machine.get("vmUniqueId")
    if isinstance(name, str) and 0 < len(name) <= _CHARS and name.isascii() and name.isprintable():
        found["vm_id"] = name
    return found


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
