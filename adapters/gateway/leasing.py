"""Budgets by lease: a gateway takes a part of them from the control plane, spends it, and gives back the rest.

So no request waits for the control plane as long as a lease lasts, and the next one is asked for when little is left.
The sum of what all gateways spend is never more than the budgets: what a gateway holds was taken from them before. A
gateway that dies loses what it holds until the window ends. Where no lease can be had, nothing is given out.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, Protocol, Self

from adapters.enrolment import load_identity, load_key
from adapters.errors import ControlPlaneError, Denied, TooMany
from adapters.gateway.interfaces import Exhausted, Reservation
from adapters.gateway.settling import Settlements, Settling
from adapters.gateway.slices import Shelf, Slice
from adapters.plane import ControlPlane
from adapters.web.admission import Admitted
from controlplane.contracts.budgets import MAX_LEASED, BudgetLease

AGAIN_SECONDS = 1.0
"""How long it is remembered that nothing can be had, before the control plane is asked once more."""

IDLE_SECONDS = 10.0
"""A lease of which nothing was taken for as long goes back before it ends."""

RESERVATION_SECONDS = 900.0
"""What is not settled by then counts as used whole."""

MAX_KEYS = 20_000
"""Subjects and models that leases are held for at once."""

EXHAUSTED_KIND = "urn:ztfm:problem:budget-exhausted"
_TEND_SECONDS = 1.0
_CLOSE_SECONDS = 5.0
_SCOPES: tuple[Literal["subject", "model", "segment"], ...] = ("subject", "model", "segment")

_log = logging.getLogger("ztfm.budgets")


class Lessor(Settling, Protocol):
    """Leases and settles; a `ControlPlane` of somebody with the role of a gateway does."""

    async def lease_budget(self, subject: str, model: str, *, tokens: int, requests: int = 1) -> BudgetLease:
        """Lease a part of the budgets of a subject and a model."""
        ...


class Leasing:
    """The budgets of a gateway (`adapters.gateway.interfaces.Budgets`). An asynchronous context manager.

    Args:
        lessor: leases and settles.
        close_lessor: called last.
        idle_seconds: a lease that nobody needs for as long goes back.
        reservation_seconds: what is not settled by then counts as used whole.
        clock: Unix seconds.
        timer: seconds, never stepping back. Leases are measured by it: no clock has to agree with another.
        sleep: waits between two looks at what can go back.

    Attributes:
        settlements: what goes back.
    """

    def __init__(
        self,
        lessor: Lessor,
        *,
        close_lessor: Callable[[], Awaitable[None]] | None = None,
        idle_seconds: float = IDLE_SECONDS,
        reservation_seconds: float = RESERVATION_SECONDS,
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.settlements = Settlements(lessor)
        self._lessor = lessor
        self._close_lessor = close_lessor
        self._idle_seconds = idle_seconds
        self._reservation_seconds = reservation_seconds
        self._clock = clock
        self._timer = timer
        self._sleep = sleep
        self._shelves: dict[tuple[str, str], Shelf] = {}
        self._owners: dict[str, Slice] = {}
        self._asking: set[asyncio.Task[Reservation | Exhausted]] = set()
        self._ahead: set[asyncio.Task[None]] = set()
        self._work: asyncio.Task[None] | None = None
        self._telling: asyncio.Task[None] | None = None
        self._is_closed = False

    @classmethod
    def open(cls, folder: Path, **options: Any) -> Self:
        """Return the budgets of a gateway that was enrolled in ``folder`` (`Member.enrol`).

        Args:
            folder: with its key and identity.
            options: ``tls``, ``socket`` and ``clock`` as `adapters.calls.CallOptions` has them, and the arguments of
                the constructor, less the lessor.

        Raises:
            FileNotFoundError: none was enrolled there.
            KeyFileError: its key or identity cannot be used.
        """
        identity = load_identity(folder)
        reached = {name: options[name] for name in ("tls", "socket", "clock") if name in options}
        plane = ControlPlane(identity.url, load_key(folder), **reached)
        others = {name: value for name, value in options.items() if name not in ("tls", "socket")}
        return cls(plane, close_lessor=plane.close, **others)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def start(self) -> None:
        """Give back in the background, from now on, what is not needed."""
        if self._work is None and not self._is_closed:
            self._work = asyncio.create_task(self._run(), name="ztfm-budgets")

    async def close(self) -> None:
        """Give back everything, as far as the control plane can be reached; what is held still counts as used whole."""
        self._is_closed = True
        background = [task for task in (self._work, self._telling) if task is not None]
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        self._work = self._telling = None
        if asking := {*self._asking, *self._ahead}:
            await asyncio.wait(asking, timeout=_CLOSE_SECONDS)
        for shelf in self._shelves.values():
            self.settlements.owe([one.use() for one in shelf.slices])
        self._shelves.clear()
        self._owners.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self.settlements.tell()
        lost = self.settlements.give_up()
        if lost:
            _log.warning("%d leases could not be settled; what is left of them is lost for now", lost)
        if self._close_lessor is not None:
            await self._close_lessor()

    async def reserve(self, admitted: Admitted, prompt_tokens: int, max_output_tokens: int) -> Reservation | Exhausted:
        """Take a request and its tokens before anything is forwarded, or say that there are none.

        Args:
            admitted: who asks which model.
            prompt_tokens: of the prompt.
            max_output_tokens: of the longest answer.
        """
        return await self.take(admitted.subject, admitted.named.resource, prompt_tokens + max_output_tokens)

    async def take(self, subject: str, model: str, tokens: int) -> Reservation | Exhausted:
        """Take a request and its tokens from the budgets of a subject and a model, as `reserve` does."""
        if self._is_closed or not 0 <= tokens <= MAX_LEASED:
            return _UNKNOWN
        shelf = self._shelf(subject, model)
        if shelf is None:
            _log.warning("leases are held for %d subjects and models: no more", MAX_KEYS)
            return _UNKNOWN
        found = self._held(shelf, tokens)
        if found is not None:
            if isinstance(found, Reservation):
                self._renew(subject, model, shelf, tokens)
            return found
        shelf.waiting += 1
        try:
            async with shelf.turn:
                return await self._leased(subject, model, shelf, tokens)
        finally:
            shelf.waiting -= 1

    async def settle(self, reservation: Reservation, tokens: int) -> None:
        """Say how many tokens were used; what is left is given back. Never raises, and settles once."""
        owner = self._owners.pop(reservation.id, None)
        if owner is not None:
            owner.settle(reservation.id, tokens, self._timer())

    async def tend(self) -> None:
        """Count what was not settled in time, and give back the leases that have ended or that nobody needs."""
        now = self._timer()
        for key, shelf in list(self._shelves.items()):
            for one in list(shelf.slices):
                for name in one.lapse(now):
                    self._owners.pop(name, None)
                if one.is_done(now, self._idle_seconds):
                    shelf.slices.remove(one)
                    self.settlements.owe([one.use()])
            if not shelf.slices and not shelf.waiting and now >= shelf.refused_until:
                del self._shelves[key]
        await self.settlements.tell()

    async def _run(self) -> None:
        while True:
            await self._sleep(_TEND_SECONDS)
            try:
                await self.tend()
            except Exception as error:  # noqa: BLE001 - logged; what is not told now is told by the next turn
                _log.error("leases could not be settled: %s", type(error).__name__)

    def _shelf(self, subject: str, model: str) -> Shelf | None:
        found = self._shelves.get((subject, model))
        if found is None and len(self._shelves) < MAX_KEYS:
            found = self._shelves[subject, model] = Shelf()
        return found

    def _held(self, shelf: Shelf, tokens: int) -> Reservation | Exhausted | None:
        for one in shelf.slices[-2:]:
            taken = self._take(one, tokens)
            if taken is not None:
                return taken
        return shelf.known_refusal(tokens, self._timer())

    def _take(self, one: Slice, tokens: int) -> Reservation | None:
        name = one.take(tokens, self._timer(), self._reservation_seconds)
        if name is None:
            return None
        self._owners[name] = one
        return Reservation(name, tokens, self._clock() + self._reservation_seconds)

    async def _leased(self, subject: str, model: str, shelf: Shelf, tokens: int) -> Reservation | Exhausted:
        found = _UNKNOWN if self._is_closed else self._held(shelf, tokens)
        if found is not None:
            return found
        task = asyncio.create_task(self._lease(subject, model, shelf, tokens))
        self._asking.add(task)
        shelf.waiting += 1
        task.add_done_callback(lambda done: self._asked(shelf, done))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            # Whoever asked is gone. The lease is not: the next one may spend it.
            task.add_done_callback(self._abandon)
            raise

    def _asked(self, shelf: Shelf, task: "asyncio.Task[Reservation | Exhausted]") -> None:
        shelf.waiting -= 1
        self._asking.discard(task)

    async def _lease(self, subject: str, model: str, shelf: Shelf, tokens: int) -> Reservation | Exhausted:
        asked_at = self._timer()
        lease = await self._ask(subject, model, tokens)
        if (
            isinstance(lease, Exhausted)
            and lease.of != "unknown"
            and self._give_back(shelf, [one for one in shelf.slices if not one.is_held])
        ):
            # What is left of the lease before may be what is missing.
            await self.settlements.tell()
            asked_at = self._timer()
            lease = await self._ask(subject, model, tokens)
        if isinstance(lease, Exhausted):
            return self._remember(shelf, tokens, lease)
        self._retire(shelf, shelf.slices)
        found = self._shelved(subject, model, shelf, lease, asked_at)
        # One that ended before its answer came is spent no more; it goes back whole.
        return self._take(found, tokens) or self._remember(shelf, tokens, _UNKNOWN)

    def _renew(self, subject: str, model: str, shelf: Shelf, tokens: int) -> None:
        """Ask for the next lease where little is left of the last; nothing is asked for that is being asked for."""
        now, last = self._timer(), shelf.slices[-1]
        # It waits for its turn, and is needed.
        last.touched_at = now
        if shelf.is_ahead or shelf.turn.locked() or now < shelf.ahead_at or not last.is_low(tokens, now):
            return
        shelf.is_ahead = True
        shelf.waiting += 1
        task = asyncio.create_task(self._lease_ahead(subject, model, shelf, tokens), name="ztfm-budgets-ahead")
        self._ahead.add(task)
        task.add_done_callback(lambda done: self._was_ahead(shelf, done))

    def _was_ahead(self, shelf: Shelf, task: "asyncio.Task[None]") -> None:
        shelf.waiting -= 1
        shelf.is_ahead = False
        self._ahead.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("no lease could be had ahead: %s", type(task.exception()).__name__)

    async def _lease_ahead(self, subject: str, model: str, shelf: Shelf, tokens: int) -> None:
        # Whoever needs one meanwhile waits for this one, and asks for no other where it is enough.
        async with shelf.turn:
            asked_at = self._timer()
            if self._is_closed or not shelf.slices or not shelf.slices[-1].is_low(tokens, asked_at):
                return
            lease = await self._ask(subject, model, tokens)
            if isinstance(lease, Exhausted):
                # Nobody needed it yet, and what is left is still there: nobody is refused for it.
                shelf.ahead_at = self._timer() + AGAIN_SECONDS
                return
            self._retire(shelf, shelf.slices[:-1])
            self._shelved(subject, model, shelf, lease, asked_at)

    def _shelved(self, subject: str, model: str, shelf: Shelf, lease: BudgetLease, asked_at: float) -> Slice:
        found = Slice(lease, asked_at + lease.seconds, self._timer())
        shelf.slices.append(found)
        if (lease.subject, lease.model) != (subject, model):
            found.is_closed = True
            _log.error("the control plane leased for somebody else: compare the versions of both sides")
        return found

    def _retire(self, shelf: Shelf, slices: Sequence[Slice]) -> None:
        """Spend no more of these; they go back once nobody holds any of them."""
        for one in slices:
            one.is_closed = True
        if self._give_back(shelf, [one for one in slices if not one.is_held]):
            # Whoever asks often would else have more leases out than policy lets it.
            self._tell_soon()

    async def _ask(self, subject: str, model: str, tokens: int) -> BudgetLease | Exhausted:
        try:
            return await self._lessor.lease_budget(subject, model, tokens=tokens)
        except (ControlPlaneError, ValueError) as error:
            if isinstance(error, TooMany) and error.problem is not None and error.problem.type == EXHAUSTED_KIND:
                codes = {reason.code for reason in error.problem.reasons or ()}
                of = next((scope for scope in _SCOPES if f"{scope}_within_budget" in codes), None)
                return Exhausted(of or "unknown", max(AGAIN_SECONDS, error.retry_after))
            if not isinstance(error, Denied):
                _log.warning("no lease could be had: %s", type(error).__name__)
            return _UNKNOWN

    def _give_back(self, shelf: Shelf, spare: Sequence[Slice]) -> bool:
        for one in spare:
            shelf.slices.remove(one)
        self.settlements.owe([one.use() for one in spare])
        return bool(spare)

    def _tell_soon(self) -> None:
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self.settlements.tell(), name="ztfm-settlements")

    def _remember(self, shelf: Shelf, tokens: int, found: Exhausted) -> Exhausted:
        # Who cannot be asked, or denies for another reason, has no fewer tokens either.
        shelf.refused, shelf.refused_tokens = found, 0 if found.of == "unknown" else tokens
        shelf.refused_until = self._timer() + AGAIN_SECONDS
        return found

    def _abandon(self, task: "asyncio.Task[Reservation | Exhausted]") -> None:
        if task.cancelled() or task.exception() is not None:
            return
        found = task.result()
        owner = self._owners.pop(found.id, None) if isinstance(found, Reservation) else None
        if owner is not None and isinstance(found, Reservation):
            owner.undo(found.id, self._timer())


_UNKNOWN = Exhausted("unknown", AGAIN_SECONDS)
