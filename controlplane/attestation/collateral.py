"""Collateral as files: what makers say of their platforms and keys, each with a time after which it counts no more.

Verifiers read what lies in a folder and fetch nothing; `controlplane.attestation.fetching` fills it, when told to.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509

from controlplane.attestation.certificates import RootsInvalid, files_of, read_file
from controlplane.attestation.dcap.collaterals import CollateralDocument, read_collateral
from controlplane.attestation.interface import EvidenceRefused
from controlplane.contracts.unambiguous import read_json
from controlplane.pki.faults import FAULTS

MAX_FILES = 1024
"""Files of a folder: one for each model of processor, or maker."""

SUFFIX = ".json"
LISTS = ".crl"

_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,95}")


@dataclass(frozen=True, slots=True)
class Held:
    """A file of collateral.

    Attributes:
        path: where it lies.
        expires_at: Unix seconds; after that, whatever needs it is refused.
    """

    path: Path
    expires_at: float

    def is_fresh(self, at: float) -> bool:
        """Whether it counts at a time (Unix seconds)."""
        return at <= self.expires_at


class CollateralFolder:
    """A folder of collateral by name, read when it is asked for, so that a new file counts at once.

    Args:
        folder: that need not be there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, name: str) -> bytes | None:
        """Return what a name stands for; none where there is none, or none that can be read.

        Args:
            name: in lower case, without a suffix, such as ``sgx-00a067110000-processor``.
        """
        path = self._path(name)
        try:
            return None if path is None or not path.is_file() else read_file(path)
        except RootsInvalid:
            return None

    def keep(self, name: str, data: bytes) -> Path:
        """Write collateral under a name, whole or not at all, and return where.

        Raises:
            ValueError: it is no such name, no collateral, of an older edition than is there, or the folder is full.
            OSError: it cannot be written.
        """
        path = self._path(name)
        if path is None:
            raise ValueError(f"{name!r} is no name of collateral: lower-case letters, digits, '-' and '.'")
        expires_at(data)
        if _edition(data) < _edition(self.find(name) or b""):
            raise ValueError(f"{path} is of a newer edition than what came: it stays")
        self._folder.mkdir(parents=True, exist_ok=True)
        if not path.exists() and len(files_of(self._folder, SUFFIX)) >= MAX_FILES:
            raise ValueError(f"{self._folder} has {MAX_FILES} files: remove those of platforms that are gone")
        written = path.with_suffix(".new")
        written.write_bytes(data)
        written.replace(path)
        return path

    def _path(self, name: str) -> Path | None:
        return self._folder / f"{name}{SUFFIX}" if _NAME.fullmatch(name) and ".." not in name else None


def held(folder: Path) -> Iterator[Held]:
    """Yield the files of collateral in a folder, and in folders of it, with when each expires.

    Raises:
        RootsInvalid: one cannot be read, or is none, or there are more than `MAX_FILES`.
    """
    paths = [path for path in sorted(folder.rglob("*")) if path.suffix in (SUFFIX, LISTS)] if folder.exists() else []
    if len(paths) > MAX_FILES:
        raise RootsInvalid(f"{folder} has more than {MAX_FILES} files of collateral: remove those that nothing needs")
    for path in paths:
        try:
            yield Held(path, expires_at(read_file(path)))
        except ValueError as error:
            raise RootsInvalid(f"{path}: {error}") from None


def expires_at(data: bytes) -> float:
    """Return when collateral stops to count, in Unix seconds: the earliest time that any part of it names.

    Args:
        data: a document of Intel's, or a list of revoked certificates in DER.

    Raises:
        ValueError: it is neither.
    """
    return min(_document_ends(data)) if data.lstrip()[:1] == b"{" else _list_ends(data)


def _edition(data: bytes) -> int:
    """The number of a document's edition; -1 where there is no document, or none that verifiers read."""
    try:
        return read_collateral(data).edition
    except EvidenceRefused:
        return -1


def _document_ends(data: bytes) -> list[float]:
    try:
        document = CollateralDocument.model_validate(read_json(data))
        signed = [json.loads(text) for text in (document.tcb_info, document.qe_identity)]
        ends = [_instant(one["nextUpdate"]) for one in signed]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ValueError("it is no document of Intel's collateral; fetch it again") from None
    return [*ends, *(_list_ends(bytes.fromhex(text)) for text in (document.root_ca_crl, document.pck_crl))]


def _instant(text: str) -> float:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError("no zone: it would be another time on each machine")
    return found.timestamp()


def _list_ends(data: bytes) -> float:
    try:
        ends = x509.load_der_x509_crl(data).next_update_utc
    except FAULTS:
        ends = None
    if ends is None:
        raise ValueError("it is no list of revoked certificates in DER, or one without an end; fetch it again")
    return ends.timestamp()
