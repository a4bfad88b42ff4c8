"""Take a body in: to a file, bounded in bytes and time, its digest compared."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

_WRITTEN_AT_ONCE = 1024 * 1024

BROKEN = (aiohttp.ClientError, HttpProcessingError, ConnectionError)
"""What reading a body raises when the other side goes away, or sends something else than it said."""


async def receive(stream: aiohttp.StreamReader, path: Path, size: int, until: float) -> bytes:
    """Write a body to a new file of mode 0600 and return its SHA-256.

    Args:
        stream: the body.
        path: of the file; it is left behind whatever happens.
        size: bytes that are taken at most.
        until: on the event loop's clock.

    Raises:
        TimeoutError: it did not come in time.
        ValueError: it is longer or shorter than ``size``.
        OSError: it cannot be written.
        ConnectionError: and the others of `BROKEN`.
    """
    digest, received = hashlib.sha256(), 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb", buffering=0) as file:
        async with asyncio.timeout_at(until):
            async for chunk in _chunks(stream):
                received += len(chunk)
                if received > size:
                    break
                digest.update(chunk)
                await asyncio.to_thread(file.write, chunk)
    if received != size:
        raise ValueError("the body is not as long as it says")
    return digest.digest()


async def _chunks(stream: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Yield a body in parts that are worth a write each."""
    parts: list[bytes] = []
    held = 0
    async for part in stream.iter_any():
        parts.append(part)
        held += len(part)
        if held >= _WRITTEN_AT_ONCE:
            yield b"".join(parts)
            parts, held = [], 0
    if parts:
        yield b"".join(parts)
