"""Settlements on their way to the control plane: told in turn, kept while it is away, and given up one by one."""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from adapters.errors import ControlPlaneError, Invalid
from controlplane.contracts.budgets import MAX_SETTLED, LeaseUse, SettledLease

MAX_DUE = 20_000
"""Settlements that wait for a control plane that cannot be reached; the oldest are lost until their windows end."""

_log = logging.getLogger("ztfm.budgets")


class Settling(Protocol):
    """Settles leases; a `ControlPlane` of the gateway that took them does."""

    async def settle_budgets(self, uses: Sequence[LeaseUse]) -> list[SettledLease]:
        """Say what was used of leases; told again, nothing changes."""
        ...


class Settlements:
    """What has to be told of leases.

    Args:
        settler: is told.
        most: settlements that wait at most.

    Attributes:
        lost: those that could not be told; what was left of their leases is lost until their windows end.
    """

    def __init__(self, settler: Settling, most: int = MAX_DUE) -> None:
        self.lost = 0
        self._settler = settler
        self._most = most
        self._due: deque[LeaseUse] = deque()
        self._turn = asyncio.Lock()

    def __len__(self) -> int:
        return len(self._due)

    def owe(self, uses: Sequence[LeaseUse]) -> None:
        """Have these told, when their turn comes."""
        self._due.extend(uses)
        while len(self._due) > self._most:
            self._due.popleft()
            self.lost += 1

    async def tell(self) -> None:
        """Tell all of them; those that could not be told wait for the next time."""
        async with self._turn:
            while self._due:
                batch = [self._due.popleft() for _ in range(min(len(self._due), MAX_SETTLED))]
                try:
                    await self._settler.settle_budgets(batch)
                except Invalid:
                    # It is our own word that does not fit, and would not the next time either.
                    self.lost += len(batch)
                    _log.error("%d settlements are not understood: compare the versions of both sides", len(batch))
                except ControlPlaneError as error:
                    self._due.extendleft(reversed(batch))
                    _log.warning("%d leases are not settled yet: %s", len(self._due), type(error).__name__)
                    return
                except BaseException:
                    self._due.extendleft(reversed(batch))
                    raise

    def give_up(self) -> int:
        """Tell nothing any more, and return how many are lost with that."""
        lost = len(self._due)
        self.lost += lost
        self._due.clear()
        return lost
