"""A file of which nothing is handed out but what it held when its digest was taken.

A digest of the whole file says too late that a byte was changed: the bytes before it are gone by then. So the digest of
each piece is taken with it, in one pass, and each piece is compared before it is handed out.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from controlplane.transparency.plainfiles import open_plain

PIECE_BYTES = 256 * 1024


class AlteredError(OSError):
    """The file is not what it was, or not what it was said to be."""


@dataclass(frozen=True)
class CheckedFile:
    """A file as it was when it was looked at.

    Attributes:
        path: where it is.
        size_bytes: of it.
        sha256: of it.
        pieces: SHA-256 of each 256 KiB of it, in order.
    """

    path: Path
    size_bytes: int
    sha256: bytes
    pieces: tuple[bytes, ...]

    @classmethod
    def of(cls, path: Path, expected: str | None = None) -> Self:
        """Return a file as it is now.

        Args:
            path: where it is.
            expected: the digest that it must have, ``sha256:...``; none for any.

        Raises:
            AlteredError: it has another digest.
            OSError: it cannot be read.
        """
        whole, size, pieces = hashlib.sha256(), 0, []
        with open_plain(path) as file:
            while piece := file.read(PIECE_BYTES):
                whole.update(piece)
                pieces.append(hashlib.sha256(piece).digest())
                size += len(piece)
        found = whole.digest()
        if expected is not None and f"sha256:{found.hex()}" != expected:
            raise AlteredError(f"{path} does not have the digest {expected}: restore it from where it came")
        return cls(path, size, found, tuple(pieces))

    @property
    def digest(self) -> str:
        """Its digest, as requests name it."""
        return f"sha256:{self.sha256.hex()}"

    def read_pieces(self, file: BinaryIO) -> Iterator[bytes]:
        """Give the file piece by piece, each compared before it is given.

        Args:
            file: `path`, opened, at its beginning.

        Raises:
            AlteredError: the next piece is not what it was, or there is more or less of the file.
            OSError: it cannot be read.
        """
        for known in self.pieces:
            piece = file.read(PIECE_BYTES)
            if hashlib.sha256(piece).digest() != known:
                raise self._altered()
            yield piece
        if file.read(1):
            raise self._altered()

    def open(self) -> BinaryIO:
        """Return the file, opened, for `read_pieces`.

        Raises:
            OSError: it cannot be opened, or something else lies there, such as a pipe that is never written to.
        """
        return open_plain(self.path)

    def content(self) -> bytes:
        """Return all of it.

        Raises:
            AlteredError: it is not what it was.
            OSError: it cannot be read.
        """
        with self.open() as file:
            return b"".join(self.read_pieces(file))

    def _altered(self) -> AlteredError:
        return AlteredError(f"{self.path} was altered after its digest was taken: restore it from where it came")
