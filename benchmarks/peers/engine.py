"""What every engine here is: something that runs, is asked over HTTP, and answers with yes or no."""

import asyncio
import socket
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.peers.cases import Asked
from benchmarks.processes import Family

START_SECONDS = 90.0


class NotThere(Exception):  # noqa: N818 - a state, as callers see it
    """An engine cannot be measured here; the message says why."""


@dataclass(frozen=True)
class Engine:
    """An engine that runs with the policy.

    Attributes:
        port: on which it listens, of this machine.
        family: its processes.
        encode: one question as the bytes of a request.
        allowed: whether an answer of this status and body is a yes.
        tls: how the connection of each asker is made; none for plain TCP.
    """

    port: int
    family: Family
    encode: Callable[[Asked], bytes]
    allowed: Callable[[int, bytes], bool]
    tls: Sequence[ssl.SSLContext] = field(default=())


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def running(
    command: Sequence[str],
    environment: Mapping[str, str],
    log: Path,
    is_ready: Callable[[], Awaitable[bool]],
) -> AsyncIterator[Family]:
    """Run a server until the context ends, and enter it once it is ready.

    Raises:
        NotThere: it ends, or is not ready in time; the message has its last words.
    """
    with log.open("wb") as words:
        process = await asyncio.create_subprocess_exec(
            *command, env=dict(environment), stdin=subprocess.DEVNULL, stdout=words, stderr=words
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            with suppress(OSError, ValueError):
                if await is_ready():
                    break
            if process.returncode is not None or time.monotonic() > deadline:
                raise NotThere(f"it did not start: {_last_words(log)}")
            await asyncio.sleep(0.05)
        yield Family(psutil.Process(process.pid))
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


def _last_words(log: Path) -> str:
    return log.read_text(errors="replace").strip()[-300:]


async def answer_of(port: int, request: bytes, tls: ssl.SSLContext | None = None) -> tuple[int, bytes]:
    """Send one request over a connection of its own, and return status and body.

    Raises:
        OSError: there is no answer.
        ValueError: the answer has no length.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
    try:
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        at = head.index(b"content-length:")
        length = int(head[at + 15 : head.index(b"\r\n", at)])
        return int(head[9:12]), await reader.readexactly(length)
    except asyncio.IncompleteReadError as error:
        raise ConnectionError("the server closed the connection") from error
    finally:
        writer.close()
        with suppress(OSError, ssl.SSLError):
            await writer.wait_closed()
