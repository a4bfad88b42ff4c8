"""What a control plane and its workers tell one another: JSON objects over a socket pair, each after its length."""

import asyncio
import socket
from typing import Any

import orjson

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
_LENGTH_BYTES = 4


class Channel:
    """One end of it.

    Args:
        reader: from the other side.
        writer: to the other side.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._turn = asyncio.Lock()

    @classmethod
    async def over(cls, end: socket.socket) -> "Channel":
        """Return the channel over one end of a socket pair, which it owns from now on."""
        end.setblocking(False)
        return cls(*await asyncio.open_unix_connection(sock=end))

    async def send(self, message: dict[str, Any]) -> bool:
        """Send a message; false when the other side is gone."""
        raw = orjson.dumps(message)
        try:
            async with self._turn:
                self._writer.write(len(raw).to_bytes(_LENGTH_BYTES, "big") + raw)
                await self._writer.drain()
        except (OSError, RuntimeError):
            return False
        return True

    async def receive(self) -> dict[str, Any] | None:
        """Return the next message; none when the other side is gone, or says what nobody understands."""
        try:
            size = int.from_bytes(await self._reader.readexactly(_LENGTH_BYTES), "big")
            if size > MAX_MESSAGE_BYTES:
                return None
            found = orjson.loads(await self._reader.readexactly(size))
        except (asyncio.IncompleteReadError, OSError, ValueError):
            return None
        return found if isinstance(found, dict) and isinstance(found.get("is"), str) else None

    def close(self) -> None:
        """Say no more."""
        self._writer.close()
