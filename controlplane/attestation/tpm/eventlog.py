"""A firmware's log of what it loaded, in the crypto-agile form (TCG PC client platform firmware profile, section 10).

A log is a claim of the operating system that shows it. What makes it worth anything is that the extensions of its
events, done again, give the register values that a TPM quoted. Only the registers and the digests are held true by
that: the type of an event is not, nor its data unless the digest is over them. So nothing here is believed by an
event's type.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

from controlplane.attestation.interface import EvidenceRefused
from controlplane.attestation.tpm.algorithms import DIGEST_BYTES, HASHES
from controlplane.attestation.tpm.reading import Reader

MAX_LOG = 196_608
MAX_EVENTS = 4096

_NO_ACTION = 3
_HEADER = b"Spec ID Event03\0"
_LOCALITY = b"StartupLocality\0"
_MAX_ALGORITHMS = 8
_MAX_DIGEST = 64
_PCRS = 24
_FIRMWARE = range(8)
"""Registers that firmware extends alone: each has events in a log that is whole."""

_DYNAMIC = range(17, 23)
"""Registers that begin with ones, until a dynamic launch sets them to zero."""


@dataclass(frozen=True)
class Event:
    """Something that was extended into a register.

    Attributes:
        pcr: the register.
        digest: in the bank that was asked for.
        data: what the log says of it; true only where `is_of_data`.
        is_of_data: the digest is over the data.
    """

    pcr: int
    digest: bytes
    data: bytes
    is_of_data: bool


@dataclass(frozen=True)
class EventLog:
    """What a log says, of one bank.

    Attributes:
        bank: ``sha256`` or ``sha384``.
        events: all that were extended, in their order.
        locality: from which the platform was started: register 0 begins with it.
    """

    bank: str
    events: tuple[Event, ...]
    locality: int = 0

    def replayed(self) -> dict[int, bytes]:
        """Return the values that the registers have after all extensions: firmware's, and those that have any."""
        size = DIGEST_BYTES[self.bank]
        values = dict.fromkeys(_FIRMWARE, bytes(size)) | {0: self.locality.to_bytes(size, "big")}
        for event in self.events:
            before = values.get(event.pcr, bytes(size))
            values[event.pcr] = hashlib.new(self.bank, before + event.digest).digest()
        return values

    def quoted(self, values: Mapping[int, bytes]) -> "EventLog":
        """Return the part of the log that quoted register values hold true.

        Of firmware's registers that are quoted it has to tell all: one of which it is silent would seem to be empty.

        Args:
            values: by register; what the log tells of others is left out.

        Raises:
            EvidenceRefused: ``unbound``: it does not lead to one of them.
        """
        for pcr, value in self.replayed().items():
            if pcr in values and values[pcr] != value:
                raise EvidenceRefused(
                    "unbound",
                    f"the event log does not lead to the quoted value of register {pcr}; if the system extends it "
                    "after the boot, quote without it",
                )
        return replace(self, events=tuple(event for event in self.events if event.pcr in values))

    def of(self, pcr: int) -> list[Event]:
        """Return what was extended into one register, in its order."""
        return [event for event in self.events if event.pcr == pcr]


def parse_event_log(data: bytes, bank: str) -> EventLog:
    """Return what a log says in the digests of one bank.

    Args:
        data: as Linux shows it in ``binary_bios_measurements``.
        bank: that was quoted.

    Raises:
        EvidenceRefused: ``malformed``, or ``unsupported``: it is of the older form with SHA-1 alone, or lacks the bank.
    """
    if len(data) > MAX_LOG:
        raise EvidenceRefused("malformed", f"the event log has {len(data)} bytes, more than {MAX_LOG}")
    reader = Reader(data, "the event log", "little")
    sizes = _header(reader)
    algorithm = next((number for number, name in HASHES.items() if name == bank and number in sizes), None)
    if algorithm is None:
        raise EvidenceRefused("unsupported", f"the event log has no digests of {bank}; quote a bank that it has")
    events: list[Event] = []
    locality, count = 0, 0
    while reader.left:
        count += 1
        if count > MAX_EVENTS:
            raise EvidenceRefused("malformed", f"the event log has more than {MAX_EVENTS} events")
        pcr, kind = reader.number(4, "a register"), reader.number(4, "an event's type")
        digests = _digests(reader, sizes)
        content = reader.sized(MAX_LOG, "an event's data", size=4)
        if kind == _NO_ACTION:
            locality = content[-1] if len(content) == len(_LOCALITY) + 1 and content.startswith(_LOCALITY) else locality
            continue
        if pcr >= _PCRS or pcr in _DYNAMIC:
            raise EvidenceRefused(
                "unsupported", f"the event log tells of register {pcr}, which firmware does not extend"
            )
        digest = digests[algorithm]
        events.append(Event(pcr, digest, content, hashlib.new(bank, content).digest() == digest))
    return EventLog(bank, tuple(events), locality)


def _header(reader: Reader) -> dict[int, int]:
    """The sizes of the digests that each event has, by algorithm (section 10.4.5.1)."""
    kind = (reader.number(4, "a register"), reader.number(4, "an event's type"), reader.take(20, "a digest"))
    inner = Reader(reader.sized(MAX_LOG, "the header", size=4), "the event log's header", "little")
    if kind != (0, _NO_ACTION, bytes(20)) or inner.take(len(_HEADER), "its signature") != _HEADER:
        raise EvidenceRefused(
            "unsupported", "the event log is not of the crypto-agile form; a TPM 2.0 platform has one"
        )
    inner.take(8, "its versions")
    count = inner.number(4, "the number of algorithms")
    if not 1 <= count <= _MAX_ALGORITHMS:
        raise EvidenceRefused("malformed", f"the event log has {count} algorithms")
    sizes: dict[int, int] = {}
    for _ in range(count):
        algorithm, size = inner.number(2, "an algorithm"), inner.number(2, "a digest's size")
        if size > _MAX_DIGEST or algorithm in sizes or DIGEST_BYTES.get(HASHES.get(algorithm, ""), size) != size:
            raise EvidenceRefused("malformed", "the event log states a digest's size wrongly")
        sizes[algorithm] = size
    inner.sized(255, "the maker's part", size=1)
    inner.end()
    return sizes


def _digests(reader: Reader, sizes: Mapping[int, int]) -> dict[int, bytes]:
    count = reader.number(4, "the number of an event's digests")
    found: dict[int, bytes] = {}
    for _ in range(min(count, len(sizes) + 1)):
        algorithm = reader.number(2, "a digest's algorithm")
        if algorithm not in sizes:
            raise EvidenceRefused("malformed", "an event has a digest of an algorithm that the log's header lacks")
        found[algorithm] = reader.take(sizes[algorithm], "a digest")
    if count != len(sizes) or found.keys() != sizes.keys():
        raise EvidenceRefused("malformed", "an event has other digests than the log's header says")
    return found
