"""Where noise comes from: a keystream of ChaCha20, of which nobody who does not hold its key can tell what follows.

Noise is drawn as whole numbers of steps of a grid. What is drawn in floating point and added there lands on values that
tell what it was added to (Mironov 2012, for the Laplace mechanism; Jin, McMurtry, Rubinstein and Ohrimenko 2022, for
Gaussian noise): here everything lies on one grid, whatever the update was.
"""

import secrets
from typing import Self

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms
from numpy.typing import NDArray

from adapters.privacy.tables import cumulative, reach

KEY_BYTES = 32

_AT_ONCE = 1 << 18


class Noise:
    """Draws noise, by a key that is forgotten with it.

    Args:
        key: 32 bytes that nobody else knows; none takes them from the operating system. The same key gives the same
            noise, and whoever knows it can take the noise off: give one in tests alone.

    Raises:
        ValueError: the key has another length.
    """

    def __init__(self, key: bytes | None = None) -> None:
        used = secrets.token_bytes(KEY_BYTES) if key is None else key
        if len(used) != KEY_BYTES:
            raise ValueError(f"a key has {KEY_BYTES} bytes")
        # The key is used once, so the nonce need not differ.
        self._stream: CipherContext = Cipher(algorithms.ChaCha20(used, bytes(16)), mode=None).encryptor()

    @classmethod
    def of_test(cls, number: int) -> Self:
        """Return noise that can be drawn again. It hides nothing."""
        return cls(number.to_bytes(KEY_BYTES, "big"))

    def words(self, count: int) -> NDArray[np.uint64]:
        """Return so many uniform numbers below 2**64."""
        return np.frombuffer(self._stream.update(bytes(8 * count)), dtype="<u8").astype(np.uint64, copy=False)

    def gaussian(self, deviation: float, count: int) -> NDArray[np.int64]:
        """Return so many values of the discrete Gaussian.

        Args:
            deviation: in steps, 1 or more.
            count: how many.

        Returns:
            int64 array of ``count`` whole numbers.

        Raises:
            ValueError: the deviation is below 1.
        """
        if not deviation >= 1.0:
            raise ValueError("noise of less than a step is none")
        (upper, lower), most = cumulative(deviation), reach(deviation)
        found = np.empty(count, dtype=np.int64)
        for start in range(0, count, _AT_ONCE):
            part = self.words(min(_AT_ONCE, count - start))
            values = np.searchsorted(upper, part, side="right")
            # Where a share ends within what 64 bits tell apart, 64 more say on which side of the end it lies.
            for place in np.flatnonzero(upper[values - 1] == part):
                first = int(np.searchsorted(upper, part[place], side="left"))
                rest = lower[first : values[place]]
                values[place] = first + np.searchsorted(rest, self.words(1)[0], side="right")
            found[start : start + len(part)] = values
        found -= most
        return found

    def shares(self, count: int) -> NDArray[np.float64]:
        """Return so many uniform numbers in [0, 1), each a multiple of 2**-53."""
        return (self.words(count) >> np.uint64(11)).astype(np.float64) * 2.0**-53
