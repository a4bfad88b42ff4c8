"""Evidence of a confidential guest on Linux, SEV-SNP or TDX, by the kernel's interface for reports.

Linux 6.7 and later (Documentation/ABI/testing/configfs-tsm-report): a folder is made, what the report has to carry is
written into it, and the report is read from it.
"""

import os
import struct
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from cryptography.hazmat.primitives.serialization import Encoding

from adapters.attesting.interface import CannotAttest
from controlplane.attestation.certificates import read_pem
from controlplane.attestation.interface import EvidenceRefused

REPORTS = Path("/sys/kernel/config/tsm/report")
"""Root alone may write there."""

Kind = Literal["snp", "tdx"]

_PROVIDERS = {"snp": "sev_guest", "tdx": "tdx_guest"}
_CARRIES = 64
_MAX_REPORT = 32_768
_MAX_TABLE = 65_536
_MOST = 8
_ENTRY = struct.Struct("<16sII")
_KEYS = {uuid.UUID("63da758d-e664-4564-adc5-f4b93be8accd"), uuid.UUID("a8074bc2-a25a-483e-aae6-39c045a0b8a1")}
"""Of entries with a VCEK's or a VLEK's certificate (SEV-ES Guest-Hypervisor Communication Block, document 56421)."""


@dataclass(frozen=True)
class Asked:
    """What the kernel answers.

    Attributes:
        provider: what made the report: ``sev_guest`` or ``tdx_guest``.
        report: as it is.
        table: certificates that the host hands out with it; empty where it hands out none.
    """

    provider: str
    report: bytes
    table: bytes


class Reports(Protocol):
    """Asks for reports; `KernelReports` does so of the kernel."""

    def ask(self, carries: bytes) -> Asked:
        """Return a report that carries 64 bytes.

        Raises:
            OSError: there is none.
        """
        ...


class KernelReports:
    """Asks the kernel.

    Args:
        folder: of its interface.
    """

    def __init__(self, folder: Path = REPORTS) -> None:
        self._folder = folder

    def ask(self, carries: bytes) -> Asked:
        """See `Reports.ask`."""
        entry = self._folder / f"ztfm-{os.getpid()}-{uuid.uuid4().hex[:12]}"
        self._make(entry)
        try:
            (entry / "inblob").write_bytes(carries)
            provider = _read(entry / "provider", 64).decode("ascii", "replace").strip()
            report = _read(entry / "outblob", _MAX_REPORT)
            has_table = provider == _PROVIDERS["snp"] and (entry / "auxblob").exists()
            return Asked(provider, report, _read(entry / "auxblob", _MAX_TABLE) if has_table else b"")
        finally:
            self._remove(entry)

    def _make(self, entry: Path) -> None:
        entry.mkdir()

    def _remove(self, entry: Path) -> None:
        entry.rmdir()


class GuestAttester:
    """Makes evidence of the guest that it runs in: of kind ``snp``, or ``tdx``.

    Args:
        kind: what the guest is.
        certificate: for ``snp``, a file with the certificate of the VCEK or VLEK, in DER or PEM; none where the host
            hands it out with the report.
        reports: whom it asks.
    """

    def __init__(self, kind: Kind, certificate: Path | None = None, reports: Reports | None = None) -> None:
        self._kind = kind
        self._certificate = certificate
        self._reports = reports if reports is not None else KernelReports()

    @property
    def kind(self) -> str:
        """See `adapters.attesting.interface.Attester.kind`."""
        return self._kind

    def endorsement(self) -> None:
        """Return none: a challenge for such a guest needs nothing."""

    def evidence(self, binding: bytes, credential: Mapping[str, bytes] | None) -> Mapping[str, bytes]:
        """See `adapters.attesting.interface.Attester.evidence`."""
        if credential is not None:
            raise CannotAttest("the challenge has a credential, which only a TPM can open")
        try:
            asked = self._reports.ask(binding.ljust(_CARRIES, b"\0"))
        except OSError as error:
            raise CannotAttest(
                f"the kernel makes no report ({error.strerror}, {error.filename}): it takes Linux 6.7 in a "
                "confidential guest, configfs mounted, and root"
            ) from None
        if asked.provider != _PROVIDERS[self._kind]:
            raise CannotAttest(f"reports here are of {asked.provider!r}, not of {_PROVIDERS[self._kind]!r}")
        if self._kind == "tdx":
            return {"quote": asked.report}
        return {"report": asked.report, "certificate": self._endorsing(asked.table)}

    def _endorsing(self, table: bytes) -> bytes:
        if self._certificate is None:
            found = certificate_in(table)
            if found is None:
                raise CannotAttest("the host hands out no certificate: get it from AMD, and name its file")
            return _plain(found)
        try:
            return _plain(self._certificate.read_bytes())
        except OSError as error:
            raise CannotAttest(f"the certificate {self._certificate} cannot be read: {error.strerror}") from None


def certificate_in(table: bytes) -> bytes | None:
    """Return the certificate of a VCEK or VLEK in a host's table; none where there is none.

    Entries have a name of 16 bytes, in either order of bytes, where the certificate begins, and its length; zeros end
    them.
    """
    for at in range(0, len(table) - _ENTRY.size + 1, _ENTRY.size):
        name, start, length = _ENTRY.unpack_from(table, at)
        if not any(name):
            return None
        if {uuid.UUID(bytes=name), uuid.UUID(bytes_le=name)} & _KEYS and length and start + length <= len(table):
            return table[start : start + length]
    return None


def _plain(certificate: bytes) -> bytes:
    """A certificate in DER, whichever form it comes in; of several in PEM the first."""
    if not certificate.startswith(b"-----BEGIN"):
        return certificate
    try:
        return read_pem(certificate, "the certificate", _MOST)[0].public_bytes(Encoding.DER)
    except EvidenceRefused as refused:
        raise CannotAttest(refused.words) from None


def _read(path: Path, limit: int) -> bytes:
    with path.open("rb") as opened:
        return opened.read(limit)
