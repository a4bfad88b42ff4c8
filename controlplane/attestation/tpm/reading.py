"""Bounded reading of what a TPM writes: big-endian numbers, and bytes with their length before them."""

from controlplane.attestation.interface import EvidenceRefused


class Reader:
    """Takes parts off the front of some bytes; a part that is not there, or is larger than it may be, is refused.

    Args:
        data: all of them.
        what: names them in refusals.
        byteorder: of numbers; a TPM's are ``big``, an event log's ``little``.
    """

    def __init__(self, data: bytes, what: str, byteorder: str = "big") -> None:
        self._data = data
        self._what = what
        self._little = byteorder == "little"
        self._at = 0

    def take(self, count: int, part: str) -> bytes:
        """Return the next ``count`` bytes.

        Raises:
            EvidenceRefused: there are fewer.
        """
        end = self._at + count
        if count < 0 or end > len(self._data):
            raise EvidenceRefused("malformed", f"{self._what} ends within {part}")
        taken, self._at = self._data[self._at : end], end
        return taken

    def number(self, size: int, part: str) -> int:
        """Return the next number, of ``size`` bytes."""
        return int.from_bytes(self.take(size, part), "little" if self._little else "big")

    def sized(self, limit: int, part: str, size: int = 2) -> bytes:
        """Return bytes with their length before them.

        Args:
            limit: the most that there may be.
            part: names them in refusals.
            size: bytes of the length.

        Raises:
            EvidenceRefused: there are more, or fewer than their length says.
        """
        count = self.number(size, f"the length of {part}")
        if count > limit:
            raise EvidenceRefused("malformed", f"{part} of {self._what} has {count} bytes, more than {limit}")
        return self.take(count, part)

    @property
    def left(self) -> int:
        """How many bytes are left."""
        return len(self._data) - self._at

    def end(self) -> None:
        """Make sure that nothing is left.

        Raises:
            EvidenceRefused: something is.
        """
        if self.left:
            raise EvidenceRefused("malformed", f"{self._what} goes on for {self.left} bytes after its end")
