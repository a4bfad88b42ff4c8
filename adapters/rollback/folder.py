"""The archive's folder: what is written appears whole or not at all, whenever the process or the machine stops.

entries/00000007/token.jws           what is signed
entries/00000007/0000.safetensors    an update of that round, and so on
weights/<sha256>.safetensors         weights by their digest
progress.jws                         how far a rebuild is that was stopped
lock                                 held by whoever writes
"""

import fcntl
import os
import secrets
import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from torch import Tensor

from adapters.rollback.errors import ArchiveDamaged, ArchiveInUse
from adapters.rollback.signing import MOST_CHARS
from adapters.rollback.tensors import read_tensors, write_tensors

_DRAFT = ".draft-"
_TOKEN = "token.jws"  # noqa: S105 - a file's name


class Folder:
    """What an archive keeps, by name.

    Args:
        root: the folder.
        writes: takes it for writing: it is made when it is not there, and what an earlier process left half-done is
            removed.

    Raises:
        ArchiveInUse: another process writes to it.
        FileNotFoundError: there is none to read.
        OSError: it cannot be read or made.
    """

    def __init__(self, root: Path, *, writes: bool) -> None:
        self.root = root
        self._entries, self._weights = root / "entries", root / "weights"
        self._progress, self._lock = root / "progress.jws", -1
        if not writes:
            if not self._entries.is_dir():
                raise FileNotFoundError(f"{root} is no archive of updates")
            return
        for folder in (root, self._entries, self._weights):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._take()
        self._sweep()

    def close(self) -> None:
        """Let others write."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def numbers(self) -> list[int]:
        """Return the entries that are kept, oldest first."""
        return sorted(int(path.name) for path in self._entries.iterdir() if path.name.isdigit())

    def token(self, number: int) -> str:
        """Return what is signed of an entry.

        Raises:
            ArchiveDamaged: it is not there, or no text.
        """
        return _text(self._entry(number) / _TOKEN)

    def update(self, number: int, index: int, digest: str) -> dict[str, Tensor]:
        """Return an update of a round.

        Raises:
            ArchiveDamaged: it is not there, or not the one that was signed.
        """
        return self._tensors(self._entry(number) / _update(index), digest)

    def weights(self, digest: str) -> dict[str, Tensor]:
        """Return weights by their digest.

        Raises:
            ArchiveDamaged: they are not there, or are others.
        """
        return self._tensors(self._weights / _file(digest), digest)

    def add(self, number: int, token: str, updates: Sequence[Mapping[str, Tensor]] = ()) -> None:
        """Keep an entry. Weights that it names are kept before it.

        Raises:
            OSError: it cannot be written; the archive is as it was.
        """
        draft = self._entries / f"{_DRAFT}{secrets.token_hex(8)}"
        try:
            draft.mkdir(mode=0o700)
            for index, update in enumerate(updates):
                write_tensors(draft / _update(index), update)
            _write(draft / _TOKEN, token)
            _sync(draft)
            draft.rename(self._entry(number))
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        _sync(self._entries)

    def add_weights(self, digest: str, tensors: Mapping[str, Tensor]) -> None:
        """Keep weights, unless they are there.

        Raises:
            OSError: they cannot be written; the archive is as it was.
        """
        path = self._weights / _file(digest)
        if path.exists():
            return
        draft = self._weights / f"{_DRAFT}{secrets.token_hex(8)}"
        try:
            write_tensors(draft, tensors)
            draft.rename(path)
        finally:
            draft.unlink(missing_ok=True)
        _sync(self._weights)

    def remove(self, number: int) -> None:
        """Forget an entry, at once and as a whole."""
        gone = self._entries / f"{_DRAFT}{secrets.token_hex(8)}"
        self._entry(number).rename(gone)
        _sync(self._entries)
        shutil.rmtree(gone)

    def retain(self, digests: Collection[str]) -> None:
        """Forget all weights but these."""
        kept = {_file(digest) for digest in digests}
        for path in self._weights.iterdir():
            if path.name not in kept:
                path.unlink()

    def progress(self) -> str | None:
        """Return the token of a rebuild that was stopped, or none.

        Raises:
            ArchiveDamaged: it is no text.
        """
        return _text(self._progress) if self._progress.exists() else None

    def set_progress(self, token: str | None) -> None:
        """Keep how far a rebuild is, or that none is under way."""
        if token is None:
            self._progress.unlink(missing_ok=True)
            return
        draft = self.root / f"{_DRAFT}{secrets.token_hex(8)}"
        _write(draft, token)
        draft.replace(self._progress)
        _sync(self.root)

    def size_bytes(self) -> int:
        """Return what all files take."""
        return sum(path.stat().st_size for path in self.root.rglob("*") if path.is_file())

    def has(self, number: int) -> bool:
        """Whether an entry is still kept; a writer may have removed it since it was looked for."""
        return self._entry(number).is_dir()

    def _entry(self, number: int) -> Path:
        return self._entries / f"{number:08d}"

    def _tensors(self, path: Path, digest: str) -> dict[str, Tensor]:
        try:
            return read_tensors(path, digest)
        except FileNotFoundError:
            raise ArchiveDamaged(f"{path.relative_to(self.root)} is missing") from None

    def _take(self) -> None:
        self._lock = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise ArchiveInUse(f"another process writes to {self.root}") from None

    def _sweep(self) -> None:
        for folder in (self.root, self._entries, self._weights):
            for path in folder.glob(f"{_DRAFT}*"):
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()


def _update(index: int) -> str:
    return f"{index:04d}.safetensors"


def _file(digest: str) -> str:
    return f"{digest.removeprefix('sha256:')}.safetensors"


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MOST_CHARS + 1).decode("ascii")
    except (FileNotFoundError, UnicodeDecodeError):
        raise ArchiveDamaged(f"{path.parent.name}/{path.name} is missing, or no token") from None


def _write(path: Path, text: str) -> None:
    with path.open("x", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    """Put the folder itself on the disk: without it a power cut may take the name of a file that is there."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
