"""AMD in small: its root, its two authorities, chips and providers with keys, and reports that these sign."""

import struct
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from controlplane.attestation.chains import Anchors
from tests.controlplane.attestation.making_chains import Authority, Extensions, authority, der, ec_key, own, rsa_key

ARC = "1.3.6.1.4.1.3704.1."
VERSIONS = {"bootloader": "3.1", "tee": "3.2", "snp": "3.3", "microcode": "3.8", "fmc": "3.9"}
ZEN3 = {"bootloader": 0, "tee": 1, "snp": 6, "microcode": 7}
ZEN5 = {"fmc": 0, "bootloader": 1, "tee": 2, "snp": 3, "microcode": 7}
CPUS = {"Milan": (0x19, 0x01, 0), "Genoa": (0x19, 0x11, 1), "Turin": (0x1A, 0x02, 1)}
TCB = {"bootloader": 3, "tee": 1, "snp": 8, "microcode": 209}
TURIN_TCB = {**TCB, "fmc": 2}
CHIP = bytes(range(1, 65))
REPORT_DATA = bytes(range(32))


def integer(number: int) -> bytes:
    return bytes([2, 1, number]) if number < 128 else bytes([2, 2, 0, number])


def text(value: str) -> bytes:
    return bytes([0x16, len(value)]) + value.encode()


def packed(tcb: dict[str, int], product: str = "Milan") -> bytes:
    raw = bytearray(8)
    for name, at in (ZEN5 if product == "Turin" else ZEN3).items():
        raw[at] = tcb[name]
    return bytes(raw)


class Amd:
    """A generation of chips, with RSA-PSS throughout, as AMD's."""

    def __init__(self, product: str = "Milan") -> None:
        self.product = product
        self.root = Authority(f"ARK-{product}", key=rsa_key(0))
        below = authority(0, "key_cert_sign")
        self.chips = Authority(f"SEV-{product}", self.root, key=rsa_key(1), extensions=below, serial=0x10001)
        self.providers = Authority(f"SEV-VLEK-{product}", self.root, key=rsa_key(2), extensions=below, serial=0x10101)

    @property
    def held(self) -> list[Any]:
        return [self.chips.certificate, self.root.certificate, self.providers.certificate]

    @property
    def anchors(self) -> Anchors:
        return Anchors({f"amd-{self.product.lower()}": self.held})


@dataclass
class Chip:
    """A chip, or a provider's machine, that signs reports.

    Attributes:
        amd: who certifies it.
        provider: whose key signs, where it is not the chip's own.
        tcb: that its key is for.
        chip_id: in its certificate.
    """

    amd: Amd
    provider: str = ""
    tcb: dict[str, int] = field(default_factory=lambda: dict(TCB))
    chip_id: bytes = CHIP
    key: ec.EllipticCurvePrivateKey = field(default_factory=ec_key)

    def extensions(self, product: str | None = None) -> Extensions:
        name = product or self.amd.product
        found = [own(ARC + "1", integer(0)), own(ARC + "2", text(name if self.provider else f"{name}-B0"))]
        found += [own(ARC + VERSIONS[part], integer(number)) for part, number in self.tcb.items()]
        found += [own(f"{ARC}3.{unused}", integer(0)) for unused in (4, 5, 6, 7)]
        return [*found, own(ARC + "5", text(self.provider)) if self.provider else own(ARC + "4", self.chip_id)]

    def certificate(self, extensions: Extensions | None = None, above: Authority | None = None, **change: Any) -> bytes:
        by = above or (self.amd.providers if self.provider else self.amd.chips)
        name = "SEV-VLEK" if self.provider else "SEV-VCEK"
        return der(
            by.certify(
                name, self.key, self.extensions() if extensions is None else extensions, **{"serial": 0, **change}
            )
        )

    def report(self, version: int = 2, patch: dict[int, bytes] | None = None) -> bytes:
        """A report that this chip signs; patches lie at offsets of the document."""
        body = bytearray(0x2A0)
        reported = packed(self.tcb, self.amd.product)
        parts = {
            0x000: struct.pack("<IIQ", version, 7, 0x3001F),
            0x010: b"f" * 16 + b"i" * 16,
            0x030: struct.pack("<II", 0, 1),
            0x038: reported,
            0x040: struct.pack("<QI", 0b100101, 0b100 if self.provider else 0),
            0x050: REPORT_DATA,
            0x090: b"m" * 48,
            0x0C0: b"h" * 32,
            0x140: b"r" * 32 + b"\xff" * 32,
            0x180: reported,
            0x188: bytes(CPUS[self.amd.product]) if version >= 3 else b"",
            0x1A0: self.chip_id.ljust(64, b"\0"),
            0x1E0: reported,
            0x1E8: bytes([4, 52, 1, 0, 3, 51, 1, 0]),
            0x1F0: reported,
            0x1F8: struct.pack("<QQ", 0x0F, 0x1F) if version >= 5 else b"",
        }
        for at, part in [*parts.items(), *(patch or {}).items()]:
            body[at : at + len(part)] = part
        return self.signed(bytes(body))

    def signed(self, body: bytes) -> bytes:
        numbers = decode_dss_signature(self.key.sign(body, ec.ECDSA(hashes.SHA384())))
        return body + b"".join(number.to_bytes(72, "little") for number in numbers) + bytes(368)
