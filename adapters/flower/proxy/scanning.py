"""Read a pushed object's request while it goes by: all of it but the object, which is passed over.

Flower parses the same bytes as protobuf, where of a field that comes twice the last one counts. So that both sides read
the same, each field may come once.
"""

from typing import Any

from flwr.proto.message_pb2 import PushObjectRequest

from adapters.flower.proxy.fleet import DecodeError

_VARINT, _BYTES = 0, 2
_LONGEST_VARINT = 10
_LONGEST_FIELD = 1024
_FIELDS = {field.number: field.name for field in PushObjectRequest.DESCRIPTOR.fields}
_CONTENT = next(number for number, name in _FIELDS.items() if name == "object_content")


class Malformed(ValueError):  # noqa: N818 - a state, as callers see it
    """The bytes are no such request, or one that could be read in two ways."""


class PushedObject:
    """Takes a request piece by piece, in memory of a constant size."""

    def __init__(self) -> None:
        self._waiting = bytearray()
        self._small = bytearray()
        self._skip = 0
        self._seen: set[int] = set()

    def feed(self, piece: bytes) -> None:
        """Take the next piece.

        Raises:
            Malformed: as the class says.
        """
        skipped = min(self._skip, len(piece))
        self._skip -= skipped
        self._waiting += piece[skipped:]
        while self._waiting and not self._skip and self._field():
            pass

    def end(self) -> Any:
        """Return the request without its object.

        Raises:
            Malformed: it is not whole, or as the class says.
        """
        if self._waiting or self._skip:
            raise Malformed("the request ends within a field")
        try:
            return PushObjectRequest.FromString(bytes(self._small))
        except DecodeError:
            raise Malformed("the request is none") from None

    def _field(self) -> bool:
        """Take one field, and return whether it was there whole."""
        tag = self._varint(0)
        if tag is None:
            return False
        number, kind = tag[0] >> 3, tag[0] & 7
        if number in self._seen or number not in _FIELDS or kind not in (_VARINT, _BYTES):
            raise Malformed("the request has a field twice, or one that is not known")
        value = self._varint(tag[1])
        if value is None:
            return False
        end = value[1]
        if kind == _BYTES and number != _CONTENT:
            if value[0] > _LONGEST_FIELD:
                raise Malformed("the request has a field that is too long")
            end += value[0]
            if len(self._waiting) < end:
                return False
        self._seen.add(number)
        if kind == _BYTES and number == _CONTENT:
            inside = min(value[0], len(self._waiting) - end)
            self._skip = value[0] - inside
            end += inside
        else:
            self._small += self._waiting[:end]
        del self._waiting[:end]
        return True

    def _varint(self, start: int) -> tuple[int, int] | None:
        """Return a number and where it ends, or none when it is not there whole."""
        value = 0
        for index in range(_LONGEST_VARINT):
            if start + index >= len(self._waiting):
                return None
            byte = self._waiting[start + index]
            value |= (byte & 0x7F) << (7 * index)
            if byte < 0x80:
                return value, start + index + 1
        raise Malformed("the request has a number that is too long")
