"""Allowances of requests that all replicas draw on: each leases a few ahead, so that most requests ask nobody.

The store has one token bucket for each name, by its own clock. What a replica leases is taken out of the bucket there
and then, and is worth something for a fifth of a second. In any T seconds all replicas together admit what was leased
in them or in the fifth before: at most the bucket and ``rate * (T + 0.2)``. So the bucket in the store is smaller by
what fills in a fifth of a second, and the bound is ``burst + rate * T``, as on one machine. What was leased and not
used is lost: less is let through then, never more.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from controlplane.sharing.groups import Groups, Observer
from controlplane.sharing.names import named
from controlplane.storage.limits import Lease

HOLD_SECONDS = 0.2
"""How long what was leased may be used."""

SHARE = 16
"""A lease is at most a sixteenth of a whole allowance: so much may be lost of it."""

NAMES = 65_536
"""Names whose leases a replica keeps."""


class Allowances(Protocol):
    """Allowances of all replicas; `storage.limits` has them."""

    async def lease(self, wanted: Mapping[str, int], rate: float, burst: float) -> dict[str, Lease]:
        """Take so many requests from each name's allowance, or as many as are left in it."""
        ...

    async def charge(self, costs: Mapping[str, int], rate: float) -> None:
        """Take so many requests from each name's allowance, also what is not in it."""
        ...


@dataclass
class _Held:
    """What a replica has of one name.

    Attributes:
        requests: that it may admit.
        until: when they are worth nothing any more.
        size: of the latest lease.
        empty_until: before which the store has none.
        waiting: requests that wait for a lease.
        is_asked: whether one is under way.
    """

    requests: int = 0
    until: float = 0.0
    size: int = 0
    empty_until: float = 0.0
    waiting: "deque[asyncio.Future[float]]" = field(default_factory=deque)
    is_asked: bool = False


class LeasedRate:
    """Admits ``rate`` requests a second per name at all replicas together, in bursts of at most ``burst``.

    Args:
        allowances: of all replicas.
        kind: of what is bounded; a name is another one for each.
        timer: seconds that never step back.
        observer: hears how often the store is asked.
        rate: requests a second.
        burst: requests at once; more than fill in a fifth of a second, and one.
    """

    def __init__(
        self,
        allowances: Allowances,
        kind: str,
        timer: Callable[[], float],
        observer: Observer,
        *,
        rate: float,
        burst: float,
    ) -> None:
        self._allowances = allowances
        self._kind = kind
        self._timer = timer
        self._rate = rate
        self._burst = burst - rate * HOLD_SECONDS
        if self._burst < 1.0:
            raise ValueError("a burst that replicas share is more than what fills in a fifth of a second, and one")
        self._most = max(1, int(self._burst // SHARE))
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self._leases: Groups[tuple[str, int], tuple[Lease, float]] = Groups("rates", self._lease, observer)
        self._charges: Groups[tuple[str, int], None] = Groups("charges", self._charge, observer)
        self._tasks: set[asyncio.Task[None]] = set()

    async def take(self, name: str) -> float:
        """Take one request; return 0 when it is admitted, else the seconds to wait.

        Raises:
            StoreUnavailable: the store was not there to ask, and nothing is left of what was leased.
        """
        held, now = self._of(name), self._timer()
        if held.requests and now < held.until:
            held.requests -= 1
            return 0.0
        if now < held.empty_until:
            return held.empty_until - now
        admitted: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        held.waiting.append(admitted)
        self._ask(name, held)
        return await admitted

    def wait(self, name: str) -> float:
        """Return the seconds until a request may be admitted, as far as is known here, and take nothing.

        Whoever asks will take one soon: where none is here, it is leased meanwhile.
        """
        held, now = self._of(name), self._timer()
        if held.requests and now < held.until:
            return 0.0
        if now < held.empty_until:
            return held.empty_until - now
        self._ask(name, held)
        return 0.0

    async def charge(self, name: str, requests: int) -> None:
        """Take what an admitted request cost beyond itself (below 0: give back); whoever owes waits until it is paid.

        Raises:
            StoreUnavailable: the store was not there to ask.
        """
        if requests:
            await self._charges.ask((named(self._kind, name), requests))

    def _of(self, name: str) -> _Held:
        held = self._held.get(name)
        if held is None:
            held = self._held[name] = _Held()
            while len(self._held) > NAMES:
                # What it had is lost; who waits still gets an answer.
                self._held.popitem(last=False)
        else:
            self._held.move_to_end(name)
        return held

    def _ask(self, name: str, held: _Held) -> None:
        if held.is_asked:
            return
        held.is_asked = True
        task = asyncio.create_task(self._fill(name, held), name="lease")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _fill(self, name: str, held: _Held) -> None:
        # Whoever uses up what it was leased gets twice as much the next time.
        is_used = held.size > 0 and held.requests == 0 and self._timer() < held.until
        try:
            size = min(self._most, max(1, 2 * held.size if is_used else 1, len(held.waiting)))
            lease, asked_at = await self._leases.ask((named(self._kind, name), size))
        except Exception as fault:  # noqa: BLE001 - each of those who wait gets it, and none is admitted
            for waiting in _those(held.waiting, len(held.waiting)):
                waiting.set_exception(fault)
        else:
            held.size = size
            # They are admitted by the store, when it granted them: how long its answer took makes no difference.
            admitted = _those(held.waiting, lease.granted)
            for waiting in admitted:
                waiting.set_result(0.0)
            held.requests = lease.granted - len(admitted)
            held.until = asked_at + HOLD_SECONDS
            if lease.granted < size:
                level = self._burst - lease.full_in * self._rate
                wait = max(0.001, (1.0 - level) / self._rate)
                held.empty_until = self._timer() + wait
                for waiting in _those(held.waiting, len(held.waiting)):
                    waiting.set_result(wait)
        finally:
            held.is_asked = False
        if held.waiting:
            self._ask(name, held)

    async def _lease(self, group: Sequence[tuple[str, int]]) -> list[tuple[Lease, float]]:
        asked_at = self._timer()
        leases = await self._allowances.lease(dict(reversed(group)), self._rate, self._burst)
        found = []
        for name, _ in group:
            found.append((leases[name], asked_at))
            # One that was forgotten here and asks again meanwhile has no part in what the first was granted.
            leases[name] = replace(leases[name], granted=0)
        return found

    async def _charge(self, group: Sequence[tuple[str, int]]) -> list[None]:
        costs: dict[str, int] = {}
        for name, cost in group:
            costs[name] = costs.get(name, 0) + cost
        await self._allowances.charge(costs, self._rate)
        return [None] * len(group)


def _those(waiting: "deque[asyncio.Future[float]]", most: int) -> list["asyncio.Future[float]"]:
    """Take the first that still wait out of a queue, at most so many."""
    found: list[asyncio.Future[float]] = []
    while waiting and len(found) < most:
        one = waiting.popleft()
        if not one.done():
            found.append(one)
    return found
