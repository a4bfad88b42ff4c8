"""Reports of a GPU as its firmware and its driver would make them, under a root of our own."""

import struct
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from controlplane.attestation.chains import Anchors
from tests.controlplane.attestation.making_chains import Authority, own, pem, usage

FWID = b"\x51" * 48
_SHA384_OID = bytes.fromhex("0609608648016503040202")


def opaque(kind: int, value: bytes) -> bytes:
    return struct.pack("<HH", kind, len(value)) + value


OPAQUE = {
    3: b"550.90.07\0",
    4: bytes.fromhex("8001000000000000"),
    6: bytes.fromhex("009f009601000000"),
    15: b"882\0",
    19: b"\0\0",
    20: FWID,
    21: b"U",
}


class Gpu:
    """A GPU whose maker certified its chip, and whose firmware has a key of its own."""

    def __init__(self) -> None:
        self.root = Authority("Device Identity CA")
        self.family = Authority("GH100 Identity", self.root)
        self.chip = Authority("GSP BROM", self.family)
        self.key = ec.generate_private_key(ec.SECP384R1())
        named = own("2.23.133.5.4.1", b"\x30\x3d" + _SHA384_OID + b"\x04\x30" + FWID)
        self.leaf = self.chip.certify("GSP FMC", self.key, [(usage("digital_signature"), True), named])

    @property
    def anchors(self) -> Anchors:
        return Anchors({"nvidia": [self.root.certificate]})

    def chain(self, *, leaf: x509.Certificate | None = None) -> bytes:
        certificates = (leaf or self.leaf, self.chip.certificate, self.family.certificate, self.root.certificate)
        return pem(*certificates)

    def evidence(self, nonce: bytes = bytes(32), **change: Any) -> dict[str, bytes]:
        return {"report": self.report(nonce, **change), "chain": self.chain()}

    def report(
        self,
        nonce: bytes = bytes(32),
        *,
        added: dict[int, bytes | None] | None = None,
        blocks: int = 4,
        indices: tuple[int, ...] = (1, 2, 3, 4),
        kind: int = 0x01,
        request: bytes = b"\x11\xe0\x01\xff",
        answer: bytes = b"\x11\x60\x00\x00",
        after: bytes = b"",
    ) -> bytes:
        """A request that carries a nonce, and the answer."""
        record = b"".join(
            bytes([index, 1]) + struct.pack("<HBH", 51, kind, 48) + bytes([index]) * 48 for index in indices
        )
        parts: dict[int, bytes | None] = {**OPAQUE, **(added or {})}
        more = b"".join(opaque(number, value) for number, value in parts.items() if value is not None)
        signed = request + nonce + b"\0" + answer + bytes([blocks]) + len(record).to_bytes(3, "little") + record
        signed += b"\x77" * 32 + struct.pack("<H", len(more)) + more
        r, s = decode_dss_signature(self.key.sign(signed, ec.ECDSA(hashes.SHA384())))
        return signed + r.to_bytes(48, "big") + s.to_bytes(48, "big") + after
