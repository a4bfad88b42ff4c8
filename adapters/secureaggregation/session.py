"""What a secure sum is about; everybody who takes part has the same idea of it, or nothing comes of it."""

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import get_args

from adapters.secureaggregation.masks import Bits
from adapters.secureaggregation.parameters import Parameters, Tolerance, choose
from controlplane.contracts.base import is_identifier

MOST_VALUES = 2**31


@dataclass(frozen=True)
class Session:
    """One sum, and one try at it.

    Attributes:
        id: names it, and is never used again: a round's id, a group's, a try's.
        length: of the vectors that are added.
        bits: of the modulus.
        tolerance: what it withstands.
        fewest: clients in the sum; with fewer it is given up.
    """

    id: str
    length: int
    bits: Bits = 32
    tolerance: Tolerance = field(default_factory=Tolerance)
    fewest: int = 3

    def __post_init__(self) -> None:
        """Refuse what cannot be a session.

        Raises:
            ValueError: the id is no identifier, or a number is out of bounds.
        """
        if not is_identifier(self.id) or self.bits not in get_args(Bits):
            raise ValueError("a session has an identifier, and sums of 32 or 64 bits")
        if not 1 <= self.length <= MOST_VALUES or self.fewest < 2:
            raise ValueError(f"a session adds 1 to {MOST_VALUES} values of two clients or more")

    @cached_property
    def digest(self) -> bytes:
        """Of all of it, 32 bytes: in everything that is signed, and in every key that is derived."""
        said = [
            "ztfm secure aggregation 1",
            self.id,
            self.length,
            self.bits,
            self.fewest,
            self.tolerance.colluding,
            self.tolerance.dropped,
            self.tolerance.privacy_bits,
            self.tolerance.failure_bits,
        ]
        return hashlib.sha256(json.dumps(said).encode()).digest()

    def parameters(self, clients: int, members: int = 0) -> Parameters:
        """Return the parameters for so many clients, of so many members.

        Raises:
            Unsafe: none are safe.
        """
        return choose(clients, self.tolerance, members)
