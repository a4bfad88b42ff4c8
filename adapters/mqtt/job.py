"""A federated job over MQTT: a bridge to a broker for as long as it runs, and topics that policy gives its members."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any

from paho.mqtt.client import MQTTMessage

from adapters.guard import Guard
from adapters.jobs.desk import Desk
from adapters.jobs.keeping import JobError, JobFolder
from adapters.jobs.reception import Reception
from adapters.jobs.running import FederatedJob
from adapters.mqtt.bounds import Bounds
from adapters.mqtt.bridge import Bridge
from adapters.mqtt.desk import MqttDesk, RetainedBoard
from adapters.mqtt.envelope import JSON, properties_of
from adapters.mqtt.keeper import TopicKeeper
from adapters.mqtt.link import Link
from adapters.mqtt.topics import from_topic, job_topic

_TEND_SECONDS = 1.0
_LAST_WORDS_SECONDS = 2.0
_NOTICE_SECONDS = 3600.0

_log = logging.getLogger("ztfm.mqtt")

Connect = Callable[[Callable[[MQTTMessage], None]], Link]
"""From what is called with each message to a link that is not started yet, which leaves acknowledging to its owner."""


class Federation(FederatedJob):
    """Runs a job's rounds for clients that speak MQTT 5. One client never stops it.

    Where members are listed, a round opens once so many of them announced themselves as ``bounds`` say, and is for all
    of them; only those who announced themselves are given weights.

    Args:
        guard: as `FederatedJob`; reception and folder likewise.
        connect: makes the link to the broker, as the job's aggregator.
        keeping: entered while clients may come: what gives them topics (`adapters.mqtt.keeper`); none where somebody
            else does.
        members: as `FederatedJob`.
        bounds: that nothing goes beyond.
        on_listening: called once the broker has the job's topics.
        options: the other arguments of `FederatedJob`.
    """

    _bounds: Bounds

    def __init__(
        self,
        guard: Guard,
        reception: Reception,
        folder: JobFolder,
        *,
        connect: Connect,
        keeping: Callable[[], AbstractAsyncContextManager[Any]] | None = None,
        members: Sequence[str] | None = None,
        bounds: Bounds | None = None,
        on_listening: Callable[[], None] = lambda: None,
        **options: Any,
    ) -> None:
        super().__init__(guard, reception, folder, members=members, bounds=bounds or Bounds(), **options)
        self._connect = connect
        self._keeping = keeping or nullcontext
        self._on_listening = on_listening
        self._posted: int | None = None
        self._keeper: TopicKeeper | None = None

    @property
    def counts(self) -> Mapping[str, int]:
        """What became of messages: ``taken``, ``refused``, ``redelivered``, ``malformed``, ``beyond``, ``unsent``."""
        return {} if self._desk is None else dict(self._mqtt.counts)

    def _opened_desk(self) -> MqttDesk:
        self._mqtt = MqttDesk(self._guard, self._reception, self._bounds, self._members, RetainedBoard(self._publish))
        return self._mqtt

    @asynccontextmanager
    async def _serving(self) -> AsyncIterator[None]:
        size = (await asyncio.to_thread(self._folder.serve)).size_bytes
        if size > self._bounds.payload_bytes:
            raise JobError(
                f"the weights have {size} bytes and a message at most {self._bounds.payload_bytes}: raise "
                "payload_bytes here and max_packet_size at the broker, or train fewer tensors"
            )
        loop = asyncio.get_running_loop()
        self._link = self._connect(lambda message: _handed(loop, bridge, message))
        bridge = Bridge(self._mqtt, self._link, clock=self._clock)
        tending = None
        try:
            async with self._keeping() as keeper:
                self._keeper = keeper if isinstance(keeper, TopicKeeper) else None
                self._link.subscribe(from_topic(self._guard.audience, "+"))
                self._link.start()
                tending = asyncio.create_task(self._tend(), name="ztfm-mqtt")
                await self._reached()
                yield
                await self._last_words()
                if self._link.is_taken_over:
                    raise JobError("another process uses the aggregator's key at the broker: one job has one")
        finally:
            if tending is not None:
                tending.cancel()
            await bridge.close()
            await asyncio.to_thread(self._link.close)

    def _ready(self) -> None:
        self._on_listening()

    def _absence(self, subject: str) -> str:
        """Whoever was set apart meanwhile could not send anything: the broker had its topics no more."""
        has_ended = self._keeper is not None and self._keeper.has_ended(subject)
        return "revoked" if has_ended else super()._absence(subject)

    async def _gathered(self, desk: Desk, number: int) -> list[str]:
        """Return who is invited, once enough of those who are listed can be reached."""
        if self._members is None:
            return await super()._gathered(desk, number)
        listed = set(self._members)
        least = min(self._bounds.least_members, len(listed))

        def here() -> int:
            return len(listed & self._mqtt.identified.keys())

        if here() < least:
            self._say(f"round {number} of {self._rounds}: waits for {least} of {len(listed)} members")
        await self._until(desk, lambda: here() >= least)
        await self._until(desk, lambda: here() >= len(listed), self._bounds.gather_seconds)
        return await desk.line(self._guard.admit, self._members)

    async def _reached(self) -> None:
        """Wait for the broker, and for the job's topics at it.

        Raises:
            JobError: it is not there, does not give them, or takes larger messages than this job.
        """
        seconds = self._bounds.broker_seconds
        if not await asyncio.to_thread(self._link.wait, lambda: self._link.has_topics, seconds):
            why = self._link.last_words or "it refuses the job's topics: does policy allow them to this aggregator?"
            raise JobError(f"the broker cannot be used within {seconds:g} s: {why}")
        largest = self._link.largest_bytes
        if largest is None or largest > 2 * self._bounds.payload_bytes + 1024 * 1024:
            raise JobError(
                f"the broker takes messages of {largest or 'any number of'} bytes, and this job of "
                f"{self._bounds.payload_bytes}: set max_packet_size at the broker"
            )

    async def _tend(self) -> None:
        """Ask again for topics that were refused, and say again how the job stands where the broker may not know it."""
        known, said_at = self._link.connections, self._clock()
        while True:
            await asyncio.sleep(_TEND_SECONDS)
            self._link.tend()
            if self._link.is_taken_over:
                self.stop()
            if self._link.connections != known or self._clock() - said_at >= _NOTICE_SECONDS / 2:
                known, said_at = self._link.connections, self._clock()
                self._publish(self._mqtt.board.notice)

    def _publish(self, notice: Mapping[str, Any]) -> None:
        """Have the broker show how the job stands to whoever reads it, now and later, until the round is over."""
        now = self._clock()
        # What a broker would show for ever would outlive the job.
        seconds = max(_NOTICE_SECONDS, float(notice.get("closes_at", now)) - now + _NOTICE_SECONDS)
        body = json.dumps(dict(notice), separators=(",", ":")).encode()
        properties = properties_of({}, content_type=JSON, expiry_seconds=seconds)
        self._posted = self._link.publish(job_topic(self._guard.audience), body, properties, retain=True)
        if self._posted is None:
            self._mqtt.counts["unsent"] += 1
            _log.warning("how the job stands could not be said: too many messages wait for the broker")

    async def _last_words(self) -> None:
        """Wait a moment until the broker has what was said last."""
        number = self._posted
        if number is not None:
            await asyncio.to_thread(
                self._link.wait, lambda: self._link.outcome(number) is not None, _LAST_WORDS_SECONDS
            )


def _handed(loop: asyncio.AbstractEventLoop, bridge: Bridge, message: MQTTMessage) -> None:
    """Hand a message from the link's thread to the loop; one that comes when that has ended is left to the broker."""
    try:
        loop.call_soon_threadsafe(bridge.arrived, message)
    except RuntimeError:
        _log.info("a message came after the job's end")
