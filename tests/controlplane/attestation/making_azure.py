"""An Azure confidential machine in small: firmware below the guest with a report and a virtual TPM."""

import hashlib
import json
import struct
from base64 import urlsafe_b64encode
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.controlplane.attestation.making_amd import Chip
from tests.controlplane.attestation.making_chains import rsa_key
from tests.controlplane.attestation.tpm.making import attest, registers

BINDING = bytes(range(32, 64))


def number(value: int) -> str:
    return urlsafe_b64encode(value.to_bytes((value.bit_length() + 7) // 8, "big")).rstrip(b"=").decode()


class Machine:
    """A guest, what it booted, and what it shows of that."""

    def __init__(self, chip: Chip, key: rsa.RSAPrivateKey | None = None) -> None:
        self.chip = chip
        self.key = key or rsa_key(3)
        self.pcrs = registers(24)

    def jwk(self, **change: Any) -> dict[str, Any]:
        numbers = self.key.public_key().public_numbers()
        made = {"kid": "HCLAkPub", "key_ops": ["sign"], "kty": "RSA", "e": number(numbers.e), "n": number(numbers.n)}
        return made | change

    def runtime(self, **change: Any) -> bytes:
        machine = {"console-enabled": False, "secure-boot": True, "tpm-enabled": True, "vmUniqueId": "6F-01"}
        other = {**self.jwk(), "kid": "HCLEkPub", "key_ops": ["encrypt"]}
        return json.dumps(
            {"keys": [self.jwk(), other], "vm-configuration": machine, "user-data": "00"} | change
        ).encode()

    def report(self, runtime: bytes | None = None, patch: dict[int, bytes] | None = None, filling: int = 99) -> bytes:
        """An HCL report; patches lie in the hardware's report."""
        said = self.runtime() if runtime is None else runtime
        digest = {0x50: hashlib.sha256(said).digest().ljust(64, b"\0")}
        hardware = self.chip.report(3, digest | (patch or {}))
        inner = struct.pack("<IIIII", 20 + len(said), 1, 2, 1, len(said)) + said
        size = 32 + len(hardware) + len(inner)
        return struct.pack("<4sIIII12x", b"HCLA", 1, size, 2, 0) + hardware + inner + bytes(filling)

    def sign(self, message: bytes) -> bytes:
        return self.key.sign(message, padding.PKCS1v15(), hashes.SHA256())

    def shows(self, binding: bytes = BINDING, **change: bytes) -> dict[str, bytes]:
        quote = attest(binding, self.pcrs)
        return {
            "hcl_report": self.report(),
            "certificate": self.chip.certificate(),
            "quote": quote,
            "signature": self.sign(quote),
            "pcrs": b"".join(self.pcrs[pcr] for pcr in sorted(self.pcrs)),
        } | change
