"""A request for measurements and the answer to it, as they are signed together (SPDM 1.1, DMTF DSP0274, 10.11)."""

from collections.abc import Mapping
from dataclasses import dataclass

from controlplane.attestation.interface import EvidenceRefused
from controlplane.attestation.tpm.reading import Reader

MAX_BYTES = 16_384
"""Of a report, with the zeros that may follow it."""

MAX_BLOCKS = 64
"""Measurements of a device; a Hopper GPU has as many."""

_REQUEST = 37
_SIGNATURE = 96
_VERSION, _GET, _MEASUREMENTS = 0x11, 0xE0, 0x60
_DMTF = 0x01
_SHA384 = 48
_MAX_OPAQUE = 1024


@dataclass(frozen=True, slots=True)
class Report:
    """A request and its answer, of which nothing is verified yet.

    Attributes:
        signed: what the signature is over: both, without it.
        signature: ECDSA P-384, r then s, 96 bytes.
        nonce: of the request, 32 bytes.
        measurements: digests (SHA-384) by index, which counts from 1.
        opaque: what the device adds, by the number of its type.
    """

    signed: bytes
    signature: bytes
    nonce: bytes
    measurements: Mapping[int, bytes]
    opaque: Mapping[int, bytes]


def read_report(data: bytes) -> Report:
    """Return the parts of a report: the request of 37 bytes, and right after it the answer with its signature.

    Zeros may follow, as drivers fill their buffers; anything else may not.

    Raises:
        EvidenceRefused: ``malformed``, or ``unsupported`` for another version, or measurements that are no digests.
    """
    reader = Reader(data, "the report", "little")
    nonce, slot = _request(reader)
    header = reader.take(4, "the answer's header")
    if header[:2] != bytes((_VERSION, _MEASUREMENTS)) or header[3] & 0x0F != slot:
        raise EvidenceRefused("unsupported", "the report's answer is no signed measurements of SPDM 1.1")
    blocks = reader.number(1, "the number of measurements")
    measurements = _measurements(reader.sized(MAX_BYTES, "its measurements", 3), blocks)
    reader.take(32, "the device's nonce")
    opaque = _opaque(reader.sized(_MAX_OPAQUE, "what the device adds", 2))
    signed = data[: len(data) - reader.left]
    signature = reader.take(_SIGNATURE, "its signature")
    if any(data[len(data) - reader.left :]):
        raise EvidenceRefused("malformed", "the report goes on after its end; send it as the driver made it")
    return Report(signed, signature, nonce, measurements, opaque)


def _request(reader: Reader) -> tuple[bytes, int]:
    request = reader.take(_REQUEST, "the request")
    asks_signature, asks_all = request[2] & 0x01, request[3] == 0xFF
    if request[:2] != bytes((_VERSION, _GET)) or not asks_signature or not asks_all:
        raise EvidenceRefused(
            "unsupported", "the report's request does not ask for all measurements, signed, in SPDM 1.1"
        )
    return request[4:36], request[36] & 0x0F


def _measurements(record: bytes, blocks: int) -> dict[int, bytes]:
    if not 1 <= blocks <= MAX_BLOCKS:
        raise EvidenceRefused("malformed", f"the report has not 1 to {MAX_BLOCKS} measurements")
    reader = Reader(record, "the report's measurements", "little")
    found: dict[int, bytes] = {}
    for _ in range(blocks):
        index, specification = reader.number(1, "an index"), reader.number(1, "a specification")
        block = Reader(reader.sized(_SHA384 + 3, "a measurement"), "a measurement", "little")
        is_raw = block.number(1, "its type") & 0x80
        digest = block.sized(_SHA384, "its value")
        block.end()
        if is_raw or specification != _DMTF or len(digest) != _SHA384:
            raise EvidenceRefused("unsupported", "a measurement in the report is no SHA-384 digest in DMTF's form")
        if index == 0 or index in found:
            raise EvidenceRefused("malformed", "two measurements in the report have one index, or one has none")
        found[index] = digest
    reader.end()
    return found


def _opaque(data: bytes) -> dict[int, bytes]:
    reader = Reader(data, "what the device adds to the report", "little")
    found: dict[int, bytes] = {}
    while reader.left:
        kind = reader.number(2, "a type")
        if kind in found:
            raise EvidenceRefused("malformed", "the device adds one thing twice to the report")
        found[kind] = reader.sized(_MAX_OPAQUE, "a value")
    return found
