"""Server-sent events as they come off a connection (HTML living standard, section 9.2): bytes in, events out."""

from dataclasses import dataclass

MAX_EVENT_BYTES = 64 * 1024
"""An event that is longer is not read on."""


class TooLong(ValueError):  # noqa: N818 - a state, as callers see it
    """An event, or a line of one, is longer than is read."""


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event.

    Attributes:
        name: its type; ``message`` where none was named.
        data: its lines, joined.
        id: what to resume from; none where the stream did not give one with this event.
    """

    name: str
    data: str
    id: str | None


class EventReader:
    """Takes in a stream in pieces, however it is cut, and gives back the events that are complete."""

    def __init__(self) -> None:
        self._rest = b""
        self._is_first = True
        self._name = ""
        self._data: list[str] = []
        self._id: str | None = None
        self._size = 0

    def feed(self, piece: bytes) -> list[ServerEvent]:
        """Return the events that ``piece`` completes.

        Raises:
            TooLong: an event outgrows its bound.
            UnicodeDecodeError: a line is no UTF-8.
        """
        self._rest += piece
        found = []
        while (line := self._line()) is not None:
            event = self._take(line)
            if event is not None:
                found.append(event)
        if len(self._rest) + self._size > MAX_EVENT_BYTES:
            raise TooLong(f"an event has more than {MAX_EVENT_BYTES} bytes")
        return found

    def _line(self) -> str | None:
        ends = [at for at in (self._rest.find(b"\n"), self._rest.find(b"\r")) if at >= 0]
        if not ends or (self._rest[min(ends)] == 0x0D and min(ends) == len(self._rest) - 1):
            # A carriage return at the very end may be half of a line's end.
            return None
        end = min(ends)
        after = end + (2 if self._rest[end : end + 2] == b"\r\n" else 1)
        raw, self._rest = self._rest[:end], self._rest[after:]
        if self._is_first:
            raw, self._is_first = raw.removeprefix(b"\xef\xbb\xbf"), False
        return raw.decode()

    def _take(self, line: str) -> ServerEvent | None:
        if not line:
            event = ServerEvent(self._name or "message", "\n".join(self._data), self._id) if self._data else None
            self._name, self._data, self._id, self._size = "", [], None, 0
            return event
        self._size += len(line)
        if self._size > MAX_EVENT_BYTES:
            raise TooLong(f"an event has more than {MAX_EVENT_BYTES} bytes")
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            self._name = value
        elif field == "data":
            self._data.append(value)
        elif field == "id" and "\0" not in value:
            self._id = value
        return None
