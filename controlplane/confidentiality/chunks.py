"""Seal long bytes in chunks that are opened one by one, in any order, and never without knowing which one it is.

Each is AES-256-GCM under a key of this content alone. Its nonce is its number and whether it is the last (as in STREAM,
Hoang et al. 2015), so that none can be left out at the end, put elsewhere or taken from other content.
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from controlplane.confidentiality.errors import SealRefused

CHUNK_BYTES = 1024 * 1024
MAX_CHUNK_BYTES = 4 * 1024 * 1024
"""Whoever opens chunks has as many in memory as it has threads, and their length is the choice of who sealed them."""

TAG_BYTES = 16
KEY_BYTES = 32

Readable = bytes | bytearray | memoryview


class Chunks:
    """The chunks of one content.

    Args:
        key: 32 bytes, of this content alone: used for two, both are lost.
        bound: what every chunk is bound to beside its place: the digest of whatever describes the content.
        size: of the content, in bytes.
        chunk_bytes: of each chunk but the last.
    """

    def __init__(self, key: bytes, bound: bytes, size: int, chunk_bytes: int = CHUNK_BYTES) -> None:
        if len(key) != KEY_BYTES or size < 0 or chunk_bytes < 1:
            raise ValueError(f"a key has {KEY_BYTES} bytes, a content none or more, and a chunk one or more")
        self._cipher = AESGCM(key)
        self._bound = bound
        self.size = size
        self.chunk_bytes = chunk_bytes

    @property
    def count(self) -> int:
        """How many there are; an empty content has one."""
        return count_of(self.size, self.chunk_bytes)

    def plain(self, number: int) -> slice:
        """Where a chunk's bytes lie in the content."""
        start = number * self.chunk_bytes
        return slice(start, min(start + self.chunk_bytes, self.size))

    def sealed(self, number: int) -> slice:
        """Where a sealed chunk lies among the sealed chunks."""
        plain = self.plain(number)
        return slice(plain.start + number * TAG_BYTES, plain.stop + (number + 1) * TAG_BYTES)

    def seal_into(self, number: int, data: Readable, out: memoryview) -> None:
        """Seal a chunk into ``out``, which has 16 bytes more than ``data``."""
        self._cipher.encrypt_into(self._nonce(number), data, self._bound, out)

    def open_into(self, number: int, data: Readable, out: memoryview) -> None:
        """Open a sealed chunk into ``out``, which has 16 bytes less than ``data``.

        Raises:
            SealRefused: it is not this chunk of this content; what ``out`` holds then is to be thrown away.
        """
        # Authenticated in one pass and deciphered in another: bytes of a mapped file may change between the two.
        own = data if isinstance(data, bytes) else bytes(data)
        try:
            self._cipher.decrypt_into(self._nonce(number), own, self._bound, out)
        except InvalidTag:
            raise SealRefused(
                f"chunk {number} does not open: another key, or the bytes were changed, moved or cut"
            ) from None

    def _nonce(self, number: int) -> bytes:
        if not 0 <= number < self.count:
            raise ValueError(f"there are {self.count} chunks, and none with number {number}")
        return number.to_bytes(11, "big") + bytes([number == self.count - 1])


def count_of(size: int, chunk_bytes: int = CHUNK_BYTES) -> int:
    """Return how many chunks a content of ``size`` bytes has."""
    return max(1, -(-size // chunk_bytes))


def sealed_size(size: int, chunk_bytes: int = CHUNK_BYTES) -> int:
    """Return how long a content of ``size`` bytes is once it is sealed."""
    return size + TAG_BYTES * count_of(size, chunk_bytes)
