"""Memory that several processes have together: numbers by name, each changed by one of them at a time.

One process makes it and the others inherit it. A place in it is found by a keyed hash of the name, so that nobody can
choose whom to push out, and changed under a lock of the kernel's that ends with its holder: a process that is killed
leaves no lock behind.
"""

import fcntl
import mmap
import os
import secrets
import struct
import sys
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from threading import Lock

from controlplane.capabilities.forgotten import SPANS, Span

WAYS = 16
"""Places of one bucket: a name may lie in any place of one."""

REMEMBERED = 4096
"""Names whose place a process remembers."""

KEY_BYTES = 16
SECRET_BYTES = 32

_NUMBER_BYTES = 8
_SPAN_BYTES = 2 * _NUMBER_BYTES
_HEADER_BYTES = SPANS * _SPAN_BYTES


@dataclass(frozen=True)
class Shape:
    """How a part of the memory is cut.

    Attributes:
        names: for which there is room.
        numbers: of each name.
    """

    names: int
    numbers: int

    @property
    def buckets(self) -> int:
        """How many buckets there are."""
        # Twice the room: names spread unevenly, and a full bucket is full although others are not.
        return max(1, 2 * self.names // WAYS)

    @property
    def bucket_bytes(self) -> int:
        """What one of them takes."""
        return _HEADER_BYTES + WAYS * (KEY_BYTES + self.numbers * _NUMBER_BYTES)

    @property
    def total_bytes(self) -> int:
        """What all of them take."""
        return self.buckets * self.bucket_bytes


class Memory:
    """The piece of memory, by the descriptor that workers inherit. Pages that nobody wrote to take no room.

    Args:
        descriptor: of the memory.
        secret: 32 bytes that its holders share.
        shapes: how it is cut.
    """

    def __init__(self, descriptor: int, secret: bytes, shapes: tuple[Shape, ...]) -> None:
        self.descriptor = descriptor
        self.secret = secret
        self._shapes = shapes
        self._map = mmap.mmap(descriptor, sum(shape.total_bytes for shape in shapes))

    @classmethod
    def create(cls, shapes: tuple[Shape, ...]) -> "Memory":
        """Return a new one, empty.

        Raises:
            OSError: there is no room for it.
        """
        descriptor = _anonymous_file()
        os.ftruncate(descriptor, sum(shape.total_bytes for shape in shapes))
        return cls(descriptor, secrets.token_bytes(SECRET_BYTES), shapes)

    def part(self, index: int) -> "Buckets":
        """Return one part of it."""
        start = sum(shape.total_bytes for shape in self._shapes[:index])
        shape = self._shapes[index]
        return Buckets(self._map, self.descriptor, start, shape, self.secret, repeats=shape.numbers > 1)

    def close(self) -> None:
        """Give it back; those who inherited it keep it."""
        self._map.close()
        os.close(self.descriptor)


def _anonymous_file() -> int:
    if sys.platform == "linux":
        return os.memfd_create("ztfm-counted")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


_Place = tuple[int, bytes]
"""Where a name lies, or may: the start of its bucket, and the key."""


class Buckets:
    """One part of the memory: in each bucket a header, then the keys, then the numbers of each.

    Args:
        memory: the whole of it.
        descriptor: of the file behind it, for its locks.
        start: of this part.
        shape: of this part.
        secret: that names are hashed with.
        repeats: the same names come again and again.
    """

    def __init__(
        self, memory: mmap.mmap, descriptor: int, start: int, shape: Shape, secret: bytes, *, repeats: bool
    ) -> None:
        self._map = memory
        self._descriptor = descriptor
        self._start = start
        self._shape = shape
        self._secret = secret
        self._numbers = struct.Struct(f"={shape.numbers}d")
        self._all_numbers = struct.Struct(f"={WAYS * shape.numbers}d")
        self._span = struct.Struct("=2d")
        self._bucket_bytes = shape.bucket_bytes
        self._number_bytes = shape.numbers * _NUMBER_BYTES
        # Callers come again and again; what is used once does not.
        self._place = lru_cache(maxsize=REMEMBERED)(self._find_place) if repeats else self._find_place
        # The kernel's locks hold between processes, not between the threads of one.
        self._threads = Lock()

    def lock(self, name: str) -> _Place:
        """Return where a name may lie, and hold that bucket for this thread alone until `unlock`."""
        place = self._place(name)
        self._threads.acquire()
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX, 1, place[0])
        except BaseException:
            self._threads.release()
            raise
        return place

    def unlock(self, place: _Place) -> None:
        """Let others at a bucket again."""
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, place[0])
        finally:
            self._threads.release()

    def _find_place(self, name: str) -> _Place:
        key = blake2b(name.encode(), digest_size=KEY_BYTES, key=self._secret).digest()
        index = int.from_bytes(key[:6], "big") % self._shape.buckets
        return self._start + index * self._bucket_bytes, key

    def find(self, place: _Place) -> int | None:
        """Return the way in which a name lies, or none."""
        first = place[0] + _HEADER_BYTES
        at = self._map.find(place[1], first, first + WAYS * KEY_BYTES)
        return None if at < 0 or (at - first) % KEY_BYTES else (at - first) // KEY_BYTES

    def read(self, place: _Place, way: int) -> tuple[float, ...]:
        """Return the numbers of a way."""
        return self._numbers.unpack_from(self._map, self._at(place, way))

    def write(self, place: _Place, way: int, numbers: tuple[float, ...]) -> None:
        """Write the numbers of a way, then its key: whoever is killed in between leaves no key without numbers."""
        self._numbers.pack_into(self._map, self._at(place, way), *numbers)
        first = place[0] + _HEADER_BYTES + way * KEY_BYTES
        self._map[first : first + KEY_BYTES] = place[1]

    def stamps(self, place: _Place) -> tuple[float, ...]:
        """Return the last number of each way; 0 for one that is free."""
        every = self._all_numbers.unpack_from(self._map, self._at(place, 0))
        return every[self._shape.numbers - 1 :: self._shape.numbers]

    def spans(self, place: _Place) -> list[Span]:
        """Return the bucket's own spans."""
        return list(self._span.iter_unpack(self._map[place[0] : place[0] + _HEADER_BYTES]))

    def set_span(self, place: _Place, index: int, span: Span) -> None:
        """Set one of the bucket's own spans."""
        self._span.pack_into(self._map, place[0] + index * _SPAN_BYTES, *span)

    def _at(self, place: _Place, way: int) -> int:
        return place[0] + _HEADER_BYTES + WAYS * KEY_BYTES + way * self._number_bytes
