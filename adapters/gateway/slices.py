"""A leased part of budgets, as one gateway spends it: what is taken, what was used, and what goes back."""

import asyncio
from dataclasses import dataclass, field
from itertools import count

from adapters.gateway.interfaces import Exhausted
from controlplane.contracts.budgets import MAX_LEASED, BudgetLease, LeaseUse, window_start

AHEAD_PART = 4
"""The next lease is asked for when the last fourth of one is left: of requests, of tokens, or of its time."""


@dataclass(slots=True)
class _Taken:
    """Tokens that a request holds.

    Attributes:
        tokens: as many.
        until: when they count as used whole, by the timer.
    """

    tokens: int
    until: float


@dataclass(slots=True)
class Slice:
    """One lease. It gives out no more than it is, and nothing once it has ended.

    Attributes:
        lease: as it was taken.
        ends_at: when it may be spent no longer, by the timer.
        touched_at: when something was last taken or settled, or it was last waited with, by the timer.
        is_closed: nothing is taken of it any more.
    """

    lease: BudgetLease
    ends_at: float
    touched_at: float
    is_closed: bool = False
    _requests: int = 0
    _used: int = 0
    _held: int = 0
    _taken: dict[str, _Taken] = field(default_factory=dict)
    _numbers: "count[int]" = field(default_factory=count)

    @property
    def is_held(self) -> bool:
        """Whether somebody holds some of it."""
        return bool(self._taken)

    @property
    def tokens_left(self) -> int:
        """What can be taken yet; below zero where more was used than was taken."""
        return self.lease.tokens - self._used - self._held

    def is_low(self, tokens: int, now: float) -> bool:
        """Whether it is time to lease the next one, so that nobody has to wait for it.

        A lease that is used up at once, as where budgets are scarce, is not renewed ahead; and one that ends with its
        window is not for that: so would the next.

        Args:
            tokens: of a request such as come.
            now: by the timer.
        """
        requests, left = self.lease.requests - self._requests, self.tokens_left
        if self.is_closed or requests <= 0 or left < 0 or now >= self.ends_at:
            return False
        is_short = tokens > 0 and 0 < left < max(tokens, self.lease.tokens // AHEAD_PART)
        ends_soon = self.ends_at - now <= self.lease.seconds / AHEAD_PART and not self._ends_with_window
        return requests <= self.lease.requests // AHEAD_PART or is_short or ends_soon

    @property
    def _ends_with_window(self) -> bool:
        return window_start("hour", self.lease.expires_at) == self.lease.expires_at

    def take(self, tokens: int, now: float, seconds: float) -> str | None:
        """Take a request and its tokens, and return the name to settle them by; none where there is no room.

        Args:
            tokens: that it may use at most.
            now: by the timer.
            seconds: after which they count as used whole.
        """
        if self.is_closed or now >= self.ends_at:
            return None
        if self._requests >= self.lease.requests or tokens > self.tokens_left:
            return None
        name = f"{self.lease.id}.{next(self._numbers)}"
        self._requests += 1
        self._held += tokens
        self._taken[name] = _Taken(tokens, now + seconds)
        self.touched_at = now
        return name

    def settle(self, name: str, tokens: int, now: float) -> bool:
        """Count what a request used, once; false where it was settled before, or counts as used whole."""
        taken = self._taken.pop(name, None)
        if taken is None:
            return False
        self._held -= taken.tokens
        self._used += max(0, tokens)
        self.touched_at = now
        return True

    def undo(self, name: str, now: float) -> None:
        """Give back a request of which nothing was ever forwarded."""
        if self.settle(name, 0, now):
            self._requests -= 1

    def lapse(self, now: float) -> list[str]:
        """Count as used whole what was not settled in time, and return its names."""
        late = [name for name, one in self._taken.items() if now >= one.until]
        for name in late:
            self.settle(name, self._taken[name].tokens, now)
        return late

    def is_done(self, now: float, idle_seconds: float) -> bool:
        """Whether it can be settled: nobody holds any of it, and it has ended, is closed, or is not needed."""
        if self._taken:
            return False
        return self.is_closed or now >= self.ends_at or now - self.touched_at >= idle_seconds

    def use(self) -> LeaseUse:
        """Return what was used; what somebody holds still counts whole."""
        used = min(self._used + self._held, MAX_LEASED)
        return LeaseUse(lease=self.lease.id, requests=self._requests, tokens=used)


@dataclass(slots=True)
class Shelf:
    """What is held for one subject and one model.

    Attributes:
        slices: leases; the last two may be open and are spent in turn, all wait for what was taken of them.
        turn: of those who need another lease.
        refused: the last answer that there is none.
        refused_tokens: how many tokens it was about; for fewer there may be room.
        refused_until: how long it is believed, by the timer.
        waiting: how many wait for a lease of it, or ask for one.
        is_ahead: whether the next lease is asked for before anybody waits for it.
        ahead_at: when that may be done again after there was none, by the timer.
    """

    slices: list[Slice] = field(default_factory=list)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    refused: Exhausted | None = None
    refused_tokens: int = 0
    refused_until: float = 0.0
    waiting: int = 0
    is_ahead: bool = False
    ahead_at: float = 0.0

    def known_refusal(self, tokens: int, now: float) -> Exhausted | None:
        """Return the answer that was given lately to as much or less; none where it must be asked for."""
        is_known = self.refused is not None and now < self.refused_until and tokens >= self.refused_tokens
        return self.refused if is_known else None
