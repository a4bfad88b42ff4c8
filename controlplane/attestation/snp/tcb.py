"""Versions of an AMD platform's firmware (TCB_VERSION), and which generation of chips packs them how."""

from controlplane.attestation.interface import EvidenceRefused

Tcb = dict[str, int]
"""Versions by the part's name: ``bootloader``, ``tee``, ``snp``, ``microcode``, on Turin also ``fmc``."""

_ZEN3 = ("bootloader", "tee", "", "", "", "", "snp", "microcode")
_ZEN5 = ("fmc", "bootloader", "tee", "snp", "", "", "", "microcode")
_PARTS = {"Milan": _ZEN3, "Genoa": _ZEN3, "Turin": _ZEN5}

CHIP_ID_BYTES = {"Milan": 64, "Genoa": 64, "Turin": 8}
"""Bytes of a chip's id by generation; zeros fill a report's 64."""


def read_tcb(raw: bytes, product: str) -> Tcb:
    """Return versions by the part's name.

    Args:
        raw: 8 bytes.
        product: ``Milan``, ``Genoa`` or ``Turin``.

    Raises:
        EvidenceRefused: ``unsupported``: another part has a version.
    """
    parts = _PARTS[product]
    if any(byte for name, byte in zip(parts, raw, strict=True) if not name):
        raise EvidenceRefused("unsupported", f"the report has versions of parts that {product} does not have")
    return {name: byte for name, byte in zip(parts, raw, strict=True) if name}


def product_of(family: int, model: int) -> str | None:
    """Return the generation of a processor, or none that is known here."""
    if family == 0x19 and model <= 0x0F:
        return "Milan"
    if family == 0x19 and (0x10 <= model <= 0x1F or 0xA0 <= model <= 0xAF):
        return "Genoa"
    if family == 0x1A and model <= 0x11:
        return "Turin"
    return None
