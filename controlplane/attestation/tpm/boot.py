"""What an event log that leads to quoted values shows of a boot: Secure Boot, and what was started."""

import hashlib
from collections.abc import Iterable
from uuid import UUID

from controlplane.attestation.interface import EvidenceRefused
from controlplane.attestation.tpm.eventlog import EventLog
from controlplane.attestation.tpm.reading import Reader

MAX_STARTED = 16

STARTED = 4
"""The register into which firmware extends what it starts."""

_CONFIGURATION = 7
_GLOBAL = UUID("8be4df61-93ca-11d2-aa0d-00e098032b8c").bytes_le
_SECURE_BOOT = "SecureBoot"
_SEPARATORS = (bytes(4), b"\xff" * 4)
_ACTIONS = (
    b"Calling EFI Application from Boot Option",
    b"Returning from EFI Application from Boot Option",
    b"Exit Boot Services Invocation",
    b"Exit Boot Services Failed",
    b"Exit Boot Services Returned with Failure",
    b"Exit Boot Services Returned with Success",
)


def secure_boot(log: EventLog) -> str | None:
    """Return whether Secure Boot was ``enabled`` or ``disabled`` when the platform started; none where it is not said.

    It is measured into register 7 before the separator that ends what firmware says of its own configuration. Only what
    stands before is looked at: what runs later can extend the register, but can put nothing there. The separator is
    known by its digest, and what stands before it has to be what its digest is over, so that nothing there can be
    hidden.

    Raises:
        EvidenceRefused: ``unbound``: it is not, or the log says both.
    """
    said: set[str] = set()
    ends = _digests(log, _SEPARATORS)
    for event in log.of(_CONFIGURATION):
        if event.digest in ends:
            break
        if not event.is_of_data:
            raise EvidenceRefused("unbound", "an event of register 7 in the event log is not what its digest is over")
        value = _variable(event.data)
        if value is not None:
            said.add("enabled" if value == b"\x01" else "disabled")
    else:
        return None
    if len(said) > 1:
        raise EvidenceRefused("unbound", "the event log says both that Secure Boot was on and that it was off")
    return said.pop() if said else None


def started(log: EventLog) -> list[bytes]:
    """Return the digests of what was started, in order: drivers, boot loaders, kernels (register 4).

    Everything is taken but separators and the actions of the boot itself, which are known by their digests, not by the
    types that the log gives them: so whatever ran is in the list, and cannot be renamed out of it.
    """
    passed_over = _digests(log, (*_SEPARATORS, *_ACTIONS))
    return [event.digest for event in log.of(STARTED) if event.digest not in passed_over]


def _digests(log: EventLog, known: Iterable[bytes]) -> frozenset[bytes]:
    return frozenset(hashlib.new(log.bank, one).digest() for one in known)


def _variable(data: bytes) -> bytes | None:
    """The value of the variable SecureBoot where an event is of it (UEFI_VARIABLE_DATA); none else."""
    if not data.startswith(_GLOBAL):
        return None
    reader = Reader(data, "an event of a variable", "little")
    reader.take(len(_GLOBAL), "its vendor")
    characters, size = reader.number(8, "its name's length"), reader.number(8, "its size")
    if characters != len(_SECURE_BOOT) or size > 1:
        return None
    if reader.take(2 * characters, "its name").decode("utf-16-le", "replace") != _SECURE_BOOT:
        return None
    value = reader.take(size, "its value")
    reader.end()
    return value
