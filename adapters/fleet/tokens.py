"""Enrolment tokens for lines that show nothing: an administrator issues them on the way, some hundred at a time."""

import asyncio
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from typing import Protocol

from pydantic import ValidationError

from adapters.errors import ControlPlaneError, Denied, TooMany, Unavailable
from adapters.fleet.errors import FleetError
from adapters.fleet.files import Group
from adapters.fleet.pace import Pace
from controlplane.contracts.identity import IssuedTokens

AT_ONCE = 200
"""Tokens that are issued in one request at most, and so those of a group that a death leaves unused."""

_OF_THE_GROUP = frozenset({"roles_known", "roles_fit_segment"})
"""Requirements that the roles and the segment of a group lack, and not the administrator."""

_LEFT_SECONDS = 60.0
"""A token that holds for less is not begun with."""


class Issuer(Protocol):
    """Issues tokens; an administrator's `adapters.client.ControlPlane` does."""

    async def issue_tokens(
        self, roles: Sequence[str], segment: str, *, hours: float = 1.0, count: int = 1
    ) -> IssuedTokens:
        """Return new tokens."""
        ...


class Tokens:
    """Tokens in memory alone, as many as are needed and no more.

    Args:
        issuer: an administrator; none where every line shows something.
        wanted: how many devices of each group there are.
        pace: of the run.
        hours: that a token holds.
        clock: Unix seconds.
    """

    def __init__(
        self,
        issuer: Issuer | None,
        wanted: Counter[Group],
        pace: Pace,
        hours: float = 1.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._issuer = issuer
        self._wanted = Counter(wanted)
        self._pace = pace
        self._hours = hours
        self._clock = clock
        self._denied: dict[Group, Denied] = {}
        self._kept: defaultdict[Group, deque[tuple[str, float]]] = defaultdict(deque)
        self._locks: defaultdict[Group, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def take(self, group: Group) -> tuple[str, float]:
        """Return a token for one device of a group, and until when it holds (Unix seconds).

        Raises:
            Denied: no device has these roles there, whoever asks.
            FleetError: none is issued.
            Stopped: the run is.
        """
        async with self._locks[group]:
            if group in self._denied:
                raise self._denied[group]
            kept = self._kept[group]
            while kept and not self.holds(kept[0]):
                kept.popleft()
            if not kept:
                kept.extend(await self._issue(group))
            self._wanted[group] -= 1
            return kept.popleft()

    def holds(self, token: tuple[str, float]) -> bool:
        """Whether a token holds for a while."""
        return token[1] - self._clock() > _LEFT_SECONDS

    def give_back(self, group: Group, token: tuple[str, float]) -> None:
        """Take back a token that is certain not to have been used."""
        self._kept[group].append(token)

    async def _issue(self, group: Group) -> list[tuple[str, float]]:
        if self._issuer is None:
            raise FleetError("a device shows nothing by which it may enrol, and nobody issues tokens: give --admin")
        count = min(max(self._wanted[group], 1), AT_ONCE)
        while True:
            await self._pace.turn()
            try:
                issued = await self._issuer.issue_tokens(group[0], group[1], hours=self._hours, count=count)
            except TooMany as error:
                self._pace.wait(error.retry_after, str(error))
            except Unavailable as error:
                self._pace.back_off(str(error))
            except (ControlPlaneError, ValidationError) as error:
                if isinstance(error, Denied) and _is_of_the_group(error):
                    self._denied[group] = error
                    raise
                raise FleetError(f"the administrator is given no tokens for {' '.join(group[0])}: {error}") from None
            else:
                self._pace.got_on()
                return [(token, issued.expires_at) for token in issued.tokens]


def _is_of_the_group(error: Denied) -> bool:
    codes = {reason.code for reason in error.reasons}
    return bool(codes) and codes <= _OF_THE_GROUP
