"""The bridge between a broker and a job: takes messages in, tells those that came before, and answers each."""

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable
from typing import NamedTuple

from paho.mqtt.client import MQTTMessage

from adapters.guard import Point
from adapters.jobs import refusals
from adapters.jobs.refusals import Refusal
from adapters.jobs.taking_part import TENSORS
from adapters.mqtt.desk import MqttDesk
from adapters.mqtt.envelope import ASKS, Letter, properties_of, read_letter
from adapters.mqtt.intake import POINTS, Intake, not_open
from adapters.mqtt.link import Link
from adapters.mqtt.topics import sender_of, to_topic
from adapters.web.answering import MEDIA_TYPE

_ANSWER_SECONDS = 300.0
_AT_ONCE = 64

_log = logging.getLogger("ztfm.mqtt")


class Bridge:
    """Answers what devices ask. Belongs to one event loop.

    Args:
        desk: what it shares with the job.
        link: to the broker; its messages are handed to `arrived` on the loop.
        clock: Unix seconds.
    """

    def __init__(self, desk: MqttDesk, link: Link, *, clock: Callable[[], float] = time.time) -> None:
        self._desk = desk
        self._intake = Intake(desk)
        self._link = link
        self._clock = clock
        self._under_way: set[asyncio.Task[None]] = set()
        self._weights: tuple[str, bytes] = ("", b"")

    def arrived(self, message: MQTTMessage) -> None:
        """Take a message in. It is acknowledged once it was answered: the broker sends only so many at a time."""
        if message.qos == 0 and len(self._under_way) >= _AT_ONCE:
            self._desk.counts["beyond"] += 1
            return
        task = asyncio.get_running_loop().create_task(self._carried_out(message))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def close(self) -> None:
        """Give up what is under way."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _carried_out(self, message: MQTTMessage) -> None:
        try:
            await self._answered(message)
        except Exception:  # noqa: BLE001 - logged, counted, and answered with nothing that allows anything
            self._desk.counts["faults"] += 1
            _log.exception("a message met an unexpected fault")
        finally:
            if message.qos:
                self._link.acknowledge(message)

    async def _answered(self, message: MQTTMessage) -> None:
        device = sender_of(self._desk.guard.audience, message.topic)
        letter = read_letter(message)
        if device is None:
            self._desk.counts["malformed"] += 1
            return
        if letter is None or letter.field("ask") not in ASKS:
            self._desk.counts["malformed"] += 1
            detail = f"Send one user property 'ask' of {', '.join(sorted(ASKS))}, and each other property once."
            self._refuse(device, letter or Letter({}, b""), "identify", refusals.malformed(detail))
            return
        ask = letter.field("ask")
        if letter.reply_to and letter.reply_to != to_topic(self._desk.guard.audience, device):
            # Nobody has this side publish to another device.
            self._desk.counts["malformed"] += 1
            detail = "The response topic is the device's own, or left out."
            self._refuse(device, letter, POINTS[ask], refusals.malformed(detail))
            return
        if message.qos == 0:
            self._refuse(device, letter, POINTS[ask], refusals.malformed("Publish with QoS 1."))
            return
        known = _fingerprint(letter)
        if self._desk.given.knows(device, known):
            self._desk.counts["redelivered"] += 1
            before = self._desk.given.answer(device, known)
            if before is not None:
                self._answer(device, letter, before)
            return
        self._desk.given.begin(device, known)
        answer: Refusal | str = refusals.fault(500)
        try:
            answer = await self._intake.carry_out(device, letter)
        finally:
            self._desk.given.end(device, known, answer)
            self._answer(device, letter, answer)
        self._desk.counts["refused" if isinstance(answer, Refusal) else "taken"] += 1

    def _refuse(self, device: str, letter: Letter, point: Point, refusal: Refusal) -> None:
        self._answer(device, letter, self._intake.dropped(point, refusal))

    def _answer(self, device: str, letter: Letter, answer: Refusal | str) -> None:
        """Send an answer to a device, on its own topic whatever it asked for."""
        sent = self._sent(letter) if answer == "weights" else answer
        payload, kind, seconds = b"", "", _ANSWER_SECONDS
        fields = {"status": "202"}
        if isinstance(sent, Refusal):
            _log.info("refused: %d, %s", sent.status, sent.cause)
            fields, payload, kind = {"status": str(sent.status)}, sent.body, MEDIA_TYPE
        elif isinstance(sent, _Weights):
            fields, payload, kind, seconds = sent.fields, sent.payload, TENSORS, sent.seconds
        properties = properties_of(fields, content_type=kind, correlation=letter.correlation, expiry_seconds=seconds)
        if self._link.publish(to_topic(self._desk.guard.audience, device), payload, properties) is None:
            self._desk.counts["unsent"] += 1
            _log.warning("an answer was dropped: %d wait to be sent", self._desk.bounds.queued)

    def _sent(self, letter: Letter) -> "_Weights | Refusal":
        """Return the weights of the round that a device asked for, or why it is not sent any."""
        opened = self._desk.current
        if opened is None or opened.is_closed or letter.field("round") != opened.id:
            # Asked for once more, and over by now.
            return not_open()
        if self._weights[0] != opened.id:
            # Read once a round, and shared by all answers.
            try:
                self._weights = opened.id, opened.served.content()
            except OSError as error:
                _log.error("%s", error)
                return self._intake.dropped("pull", refusals.altered())
        fields = {
            "status": "200",
            "round": opened.id,
            "digest": opened.sealed.terms.model_digest,
            "content": opened.served.sha256.hex(),
        }
        return _Weights(fields, self._weights[1], max(1.0, opened.closes_at - self._clock()))


class _Weights(NamedTuple):
    fields: dict[str, str]
    payload: bytes
    seconds: float


def _fingerprint(letter: Letter) -> bytes:
    """Return what is the same when a message comes again: all that it shows, and what its payload is said to be.

    Whoever sends other bytes under the same words is answered as before, and has changed nothing.
    """
    digest = hashlib.sha256()
    for name, value in sorted(letter.fields.items()):
        for part in (name.encode(), value.encode(errors="surrogatepass")):
            digest.update(len(part).to_bytes(4, "big") + part)
    return digest.digest()
