"""Follow the kept events and push them to whoever listens, each signed once."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal, Protocol

from pydantic import ValidationError

from controlplane.capabilities.events import EventSigner
from controlplane.capabilities.revocations import CLOCKS_SECONDS, RevocationState, is_ending, is_rekeying
from controlplane.contracts.capability import MAX_LIFETIME_SECONDS
from controlplane.contracts.events import OpaqueSubject, Revocation, SecurityEvent

POLL_SECONDS = 0.2
"""How often the store is looked at for what other replicas wrote; what this one writes is pushed at once."""

KEEPALIVE_SECONDS = 2.0
MAX_LISTENERS = 1024
MAX_PER_CALLER = 8
QUEUE = 256
PAGE = 100

REPLAYED_SECONDS = MAX_LIFETIME_SECONDS + CLOCKS_SECONDS
"""Whoever names no event gets those of so long ago: older ones are about what has expired."""

MessageKind = Literal["event", "keepalive", "reset"]
EventRow = tuple[int, float, bytes]

_log = logging.getLogger("ztfm.events")


class EventStore(Protocol):
    """Keeps events in the order in which they were committed."""

    async def after(self, sequence: int, limit: int = PAGE) -> Sequence[EventRow]:
        """Return events (sequence, time, document) that come after ``sequence``, in order."""
        ...

    async def bounds(self) -> tuple[int, int]:
        """Return the oldest and the newest sequence that are kept; (1, 0) when there never was an event."""
        ...

    async def before(self, time: float) -> int:
        """Return the sequence after which come all kept events of ``time`` and later."""
        ...


class BroadcastObserver(Protocol):
    """Counts."""

    def listening(self, listeners: int) -> None:
        """So many listen now."""
        ...

    def dropped(self) -> None:
        """A listener was too slow and was cut off."""
        ...


class TooManyListeners(Exception):  # noqa: N818 - a state, as callers see it
    """There is no room for another listener, for another one of this caller, or for one that was shut out just now."""


@dataclass(frozen=True, slots=True)
class Message:
    """What a listener is sent.

    Attributes:
        kind: an event, a sign of life, or the word that events may have been missed.
        sequence: to resume from; none where that stays as it was.
        token: a Security Event Token.
    """

    kind: MessageKind
    sequence: int | None
    token: str


@dataclass(eq=False)
class Listener:
    """One who listens.

    Attributes:
        caller: the subject behind it.
        position: the last event that it was sent while it caught up.
        is_live: it has caught up: what happens from now on comes through its queue.
    """

    caller: str
    position: int = 0
    is_live: bool = False
    queue: "asyncio.Queue[Message | None]" = field(default_factory=lambda: asyncio.Queue(QUEUE))
    is_cut: bool = False

    def cut(self) -> None:
        """Let it go: what waits for it is not sent; it can resume where it was."""
        self.is_cut = True
        with suppress(asyncio.QueueFull):
            self.queue.put_nowait(None)


class Broadcast:
    """Tails the kept events: keeps this process's own view of what is void, and pushes to its listeners.

    While the store cannot be read there is no sign of life, so that whoever listens comes to distrust what they hold.

    Args:
        store: keeps events.
        live: returns all revocations that are live.
        state: what is void as this process knows it.
        signer: signs.
        clock: Unix seconds.
        timer: seconds, never stepping back.
        observer: counts.
        wanted: set when there is something new to look for.
        most: listeners at most.
    """

    def __init__(
        self,
        store: EventStore,
        live: Callable[[], Awaitable[Sequence[Revocation]]],
        state: RevocationState,
        signer: EventSigner,
        clock: Callable[[], float],
        timer: Callable[[], float],
        observer: BroadcastObserver,
        wanted: asyncio.Event,
        most: int = MAX_LISTENERS,
    ) -> None:
        self._store = store
        self._live = live
        self._state = state
        self._signer = signer
        self._clock = clock
        self._timer = timer
        self._observer = observer
        self._most = most
        self._newest = 0
        self._alive_at = 0.0
        self._listeners: set[Listener] = set()
        self._callers: Counter[str] = Counter()
        self._wanted = wanted
        self._is_open = True

    async def begin(self) -> None:
        """Learn what is void now.

        Raises:
            Exception: what the store raises.
        """
        read_at = self._timer()
        self._newest = (await self._store.bounds())[1]
        for revocation in await self._live():
            self._state.add(revocation)
        self._state.hear(self._timer() - read_at)

    async def run(self) -> None:
        """Follow the events, for ever."""
        is_failing = False
        while True:
            try:
                await self._look()
                is_failing = False
            except Exception as error:  # noqa: BLE001 - no news is given out, and after a while nothing is held good
                if not is_failing:
                    _log.error("events cannot be followed, listeners hear nothing: %s", type(error).__name__)
                is_failing = True
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._wanted.wait()
            self._wanted.clear()

    def close(self) -> None:
        """Let everybody go, and nobody in."""
        self._is_open = False
        for listener in list(self._listeners):
            self._leave(listener)
            listener.cut()

    async def follow(
        self, caller: str, asked: int | None, known_at: float | None = None
    ) -> AsyncGenerator[Message, None]:
        """Yield what ``caller`` has not seen, then what happens from now on, until it is cut off.

        Args:
            caller: the subject that listens.
            asked: the last event that it saw; none for the events that can still matter.
            known_at: as of when (Unix seconds) it may listen; none for now. Whoever was shut out since, or so shortly
                before that this replica may have remembered it otherwise, is not let in.

        Raises:
            TooManyListeners: there is no room, or the caller was shut out.
            Exception: what the store raises.
        """
        if (self._clock() if known_at is None else known_at) <= self._state.ended_until(caller):
            raise TooManyListeners
        listener = self._join(caller)
        try:
            async for message in self._catching_up(listener, asked):
                yield message
            while (waiting := await listener.queue.get()) is not None and not listener.is_cut:
                if waiting.sequence is None or waiting.sequence > listener.position:
                    yield waiting
        finally:
            self._leave(listener)

    async def _catching_up(self, listener: Listener, asked: int | None) -> AsyncIterator[Message]:
        oldest, newest = await self._store.bounds()
        if asked is not None and oldest - 1 <= asked <= newest:
            listener.position = asked
        else:
            listener.position = await self._store.before(self._clock() - REPLAYED_SECONDS)
            if asked is not None:
                yield Message("reset", listener.position, self._signer.reset(self._clock(), listener.position))
        while listener.position < self._newest and not listener.is_cut:
            rows = await self._store.after(listener.position)
            for row in rows:
                yield self._message(row)
            listener.position = rows[-1][0] if rows else self._newest
        # Nothing can happen between the last look and this line, so nothing is missed.
        listener.is_live = True
        if not listener.is_cut:
            yield Message("keepalive", None, self._signer.alive(self._newest, self._clock()))

    def _join(self, caller: str) -> Listener:
        if not self._is_open or len(self._listeners) >= self._most or self._callers[caller] >= MAX_PER_CALLER:
            raise TooManyListeners
        listener = Listener(caller)
        self._listeners.add(listener)
        self._callers[caller] += 1
        self._observer.listening(len(self._listeners))
        return listener

    def _leave(self, listener: Listener) -> None:
        if listener not in self._listeners:
            return
        self._listeners.discard(listener)
        self._callers[listener.caller] -= 1
        if not self._callers[listener.caller]:
            del self._callers[listener.caller]
        self._observer.listening(len(self._listeners))

    async def _look(self) -> None:
        while True:
            read_at = self._timer()
            rows = await self._store.after(self._newest)
            for row in rows:
                self._take_in(row)
            if len(rows) < PAGE:
                break
        self._state.hear(self._timer() - read_at)
        if self._timer() - self._alive_at >= KEEPALIVE_SECONDS:
            self._alive_at = self._timer()
            if self._listeners:
                token = self._signer.alive(self._newest, self._clock())
                self._push(Message("keepalive", None, token))

    def _take_in(self, row: EventRow) -> None:
        try:
            event = SecurityEvent.model_validate_json(row[2])
        except ValidationError:
            # Another version's event: nobody here can say what it makes void.
            _log.error("event %d is not understood; what was issued before it is distrusted", row[0])
            self._state.distrust(self._clock())
            event = None
        if event is not None:
            self._state.apply(event)
        if self._listeners:
            self._push(self._message(row))
        self._newest = row[0]
        is_over = event is not None and (is_ending(event) or is_rekeying(event))
        if event is not None and is_over and isinstance(event.sub_id, OpaqueSubject):
            self._end(event.sub_id.id)

    def _message(self, row: EventRow) -> Message:
        try:
            return Message("event", row[0], self._signer.kept(*row))
        except ValidationError:
            return Message("reset", row[0], self._signer.reset(self._clock(), row[0]))

    def _push(self, message: Message) -> None:
        for listener in [one for one in self._listeners if one.is_live]:
            try:
                listener.queue.put_nowait(message)
            except asyncio.QueueFull:
                self._leave(listener)
                listener.cut()
                self._observer.dropped()
                _log.warning("a listener was too slow and was cut off")

    def _end(self, subject: str) -> None:
        for listener in [one for one in self._listeners if one.caller == subject]:
            self._leave(listener)
            listener.cut()
