"""Memory maps that are written at once, by several threads."""

import mmap
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

_MOST_THREADS = 8


@contextmanager
def mapped_draft(path: Path, size: int) -> Iterator[memoryview]:
    """Give a map of a new file of mode 0600 that takes the place of ``path`` when the block ends well.

    Raises:
        OSError: it cannot be written, or there is no room for it.
    """
    draft = path.with_name(f".{path.name}.{os.urandom(6).hex()}.draft")
    descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "r+b") as file:
            # Room is taken first: a full disk is an error here, and a killed process while a map is written.
            if size == 0:
                yield memoryview(bytearray())
            else:
                os.posix_fallocate(file.fileno(), 0, size)
                with _viewed(mmap.mmap(file.fileno(), size)) as view:
                    yield view
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def each(work: Callable[[int], None], count: int) -> None:
    """Do ``work`` for the numbers below ``count``, on as many threads as there are processors.

    Raises:
        Exception: the first that one of them raises.
    """
    threads = min(_MOST_THREADS, os.cpu_count() or 1, count)
    if threads == 1:
        for number in range(count):
            work(number)
        return
    with ThreadPoolExecutor(threads, thread_name_prefix="ztfm-seal") as pool:
        for _ in pool.map(work, range(count)):
            pass


@contextmanager
def mapped(descriptor: int, size: int) -> Iterator[memoryview]:
    """Give a map of an open file, to be read; of an empty one, which cannot be mapped, an empty view."""
    if size == 0:
        yield memoryview(b"")
        return
    with _viewed(mmap.mmap(descriptor, size, access=mmap.ACCESS_READ)) as view:
        yield view


@contextmanager
def _viewed(whole: mmap.mmap) -> Iterator[memoryview]:
    view = memoryview(whole)
    try:
        yield view
    finally:
        view.release()
        # What a fault's traceback still holds a part of is given back with it, and must not hide the fault.
        with suppress(BufferError):
            whole.close()
