"""Open sealed weights: a tensor, a shard, or all that the secrets are there for, into a file or memory alone."""

import io
import mmap
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from adapters.jobs.tensorfile import StoredTensor, UnfitFileError, stored_in
from adapters.sealed.mapping import each, mapped_draft
from adapters.sealed.planning import TYPES, Content, Segment, content_of
from controlplane.confidentiality.chunks import Chunks
from controlplane.confidentiality.errors import SealRefused
from controlplane.confidentiality.shards import MAX_HEADER_BYTES, Preamble, read_preamble, require


class SealedWeights:
    """A file of sealed weights. A context manager; of its bytes only those are read that are asked for.

    Args:
        path: of the file.

    Attributes:
        preamble: its header, and the shards that are in it. Nothing of it is proven before a chunk opens.
        raw: all of it.

    Raises:
        SealRefused: it is no such file, or of another length than it says.
        OSError: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            if file.seek(0, 2) == 0:
                raise SealRefused("it is no file of sealed weights: it is empty")
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.raw = memoryview(self._map)
        try:
            self.preamble: Preamble = read_preamble(bytes(self.raw[: MAX_HEADER_BYTES + 64]))
            if self.preamble.total() != len(self.raw):
                raise SealRefused("the sealed weights are longer or shorter than their header says")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the file back; where a shard is still held, once that is gone."""
        self.raw.release()
        with suppress(BufferError):
            self._map.close()

    def shard(self, name: str, secret: bytes) -> "SealedShard":
        """Return a shard that its secret opens.

        Raises:
            SealRefused: it is not in the file.
        """
        place = self.preamble.places().get(name)
        if place is None:
            raise SealRefused(f"the shard {name} is not in the file: it has {', '.join(sorted(self.preamble.present))}")
        return SealedShard(self.preamble.chunks(name, secret), self.raw[place.start : place.start + place.size])

    def require(self, model: str, *, round_id: str | None = None, policy_revision: str | None = None) -> None:
        """Refuse weights that are not those that are wanted (`controlplane.confidentiality.shards.require`)."""
        require(self.preamble.header, model, round_id, policy_revision)


class SealedShard(io.RawIOBase):
    """The content of a shard, a safetensors file, as a file that can be read anywhere.

    Args:
        chunks: of it.
        raw: sealed.
    """

    def __init__(self, chunks: Chunks, raw: memoryview) -> None:
        super().__init__()
        self.chunks = chunks
        self._raw = raw
        self._at = 0
        self._kept: tuple[int, bytes] = (-1, b"")

    def tensors(self) -> list[StoredTensor]:
        """Return what is in it.

        Raises:
            SealRefused: it does not open, or is no safetensors file.
        """
        try:
            return stored_in(self, TYPES)  # type: ignore[arg-type]
        except UnfitFileError:
            raise SealRefused("a shard opens to something else than weights") from None

    def tensor(self, name: str) -> bytes:
        """Return the values of one tensor; the chunks alone that it lies in are opened.

        Raises:
            SealRefused: they do not open.
            KeyError: there is no such tensor.
        """
        found = {tensor.name: tensor for tensor in self.tensors()}[name]
        self.seek(found.start)
        return self.read(found.size_bytes) or b""

    def open_chunk(self, number: int) -> bytes:
        """Return a chunk's content.

        Raises:
            SealRefused: it does not open.
        """
        if self._kept[0] != number:
            plain = self.chunks.plain(number)
            opened = bytearray(plain.stop - plain.start)
            self.open_into(number, memoryview(opened))
            self._kept = (number, bytes(opened))
        return self._kept[1]

    def open_into(self, number: int, out: memoryview) -> None:
        """Open a chunk into ``out``, which is as long as its content; any thread may.

        Raises:
            SealRefused: it does not open.
        """
        self.chunks.open_into(number, self._raw[self.chunks.sealed(number)], out)

    def readable(self) -> bool:
        """It can be read."""
        return True

    def seekable(self) -> bool:
        """It can be read anywhere."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go elsewhere, and return where that is."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.chunks.size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Read as much as there is room for.

        Raises:
            SealRefused: a chunk does not open.
        """
        with memoryview(buffer).cast("B") as room:
            wanted, done = min(len(room), max(0, self.chunks.size - self._at)), 0
            while done < wanted:
                number, within = divmod(self._at, self.chunks.chunk_bytes)
                part = self.open_chunk(number)[within : within + wanted - done]
                room[done : done + len(part)] = part
                done += len(part)
                self._at += len(part)
        return done


def open_weights(sealed: SealedWeights, secrets: Mapping[str, bytes], out: Path) -> list[str]:
    """Write a safetensors file of mode 0600 with the tensors of the shards that there are secrets for.

    Args:
        sealed: the weights; see that they are the wanted ones first (`SealedWeights.require`).
        secrets: by shard.
        out: the file; it is there whole, or not at all.

    Returns:
        The names of the tensors.

    Raises:
        SealRefused: a shard is not there or does not open; nothing is written then.
        OSError: the file cannot be written.
    """
    plan = _Plan(sealed, secrets)
    with mapped_draft(out, plan.content.size) as room:
        plan.carry_out(room)
    return plan.names


def weights_in_memory(sealed: SealedWeights, secrets: Mapping[str, bytes]) -> mmap.mmap:
    """Return the same as memory of this process alone: nothing is written to a disk, but for what is swapped out.

    Raises:
        SealRefused: a shard is not there or does not open.
    """
    plan = _Plan(sealed, secrets)
    memory = mmap.mmap(-1, plan.content.size)
    try:
        if hasattr(mmap, "MADV_DONTDUMP"):
            # A crash is to leave no weights in a core file.
            memory.madvise(mmap.MADV_DONTDUMP)
        with memoryview(memory) as room:
            plan.carry_out(room)
    except BaseException:
        memory.close()
        raise
    return memory


class _Plan:
    """Where the bytes of several shards go in one safetensors file."""

    def __init__(self, sealed: SealedWeights, secrets: Mapping[str, bytes]) -> None:
        if not secrets:
            raise SealRefused("there is no secret of any shard")
        self._shards: list[tuple[SealedShard, list[Segment]]] = []
        found: list[StoredTensor] = []
        # The places of all tensors one after the other, as if the shards were one.
        base, bases = 0, []
        for name, secret in secrets.items():
            shard = sealed.shard(name, secret)
            tensors = shard.tensors()
            found += [_moved(tensor, base) for tensor in tensors]
            bases.append((shard, base))
            base += shard.chunks.size
        self.names = [tensor.name for tensor in found]
        if len(set(self.names)) != len(found):
            raise SealRefused("two shards hold a tensor of one name")
        self.content: Content = content_of(found)
        for shard, start in bases:
            stop = start + shard.chunks.size
            # A segment may go on from one shard's values to the next one's only where the shards' contents touch.
            taken = [one for one in self.content.segments if _is_in(one, start, stop)]
            self._shards.append((shard, [_within(one, start, stop) for one in taken]))

    def carry_out(self, room: memoryview) -> None:
        """Open every chunk to where it belongs."""
        room[: len(self.content.head)] = self.content.head
        for shard, segments in self._shards:
            each(partial(_place, shard, segments, room), shard.chunks.count)


def _place(shard: SealedShard, segments: list[Segment], room: memoryview, number: int) -> None:
    plain = shard.chunks.plain(number)
    for one in segments:
        if one.start <= plain.start and plain.stop <= one.stop:
            at = one.at + plain.start - one.start
            with room[at : at + plain.stop - plain.start] as target:
                shard.open_into(number, target)
            return
    opened = memoryview(bytearray(plain.stop - plain.start))
    shard.open_into(number, opened)
    for one in segments:
        start, stop = max(one.start, plain.start), min(one.stop, plain.stop)
        if start < stop:
            at = one.at + start - one.start
            room[at : at + stop - start] = opened[start - plain.start : stop - plain.start]


def _moved(tensor: StoredTensor, by: int) -> StoredTensor:
    return StoredTensor(
        tensor.name, tensor.dtype, tensor.shape, tensor.start + by, tensor.size_bytes, tensor.value_bytes
    )


def _is_in(one: Segment, start: int, stop: int) -> bool:
    return max(one.at, start) < min(one.at + one.size, stop)


def _within(one: Segment, start: int, stop: int) -> Segment:
    """Return the part of a content's segment that is taken from a shard, from the shard's point of view."""
    first, last = max(one.at, start), min(one.at + one.size, stop)
    return Segment(first - start, one.start + first - one.at, last - first)
