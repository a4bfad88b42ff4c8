"""Take part in a job over MQTT, from Python: what a small device needs, without torch.

Example:
    with Member.open(Path("keys/device-7")) as member, MqttMember.open(member, Address("broker.example")) as client:
        client.take_part(train, Path("work"))  # train(weights, update, terms) -> examples
"""

import hashlib
import json
import logging
import secrets
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from paho.mqtt.client import MQTTMessage

from adapters.credentials import RoundTerms
from adapters.errors import Conflict, Forbidden, Invalid, Unavailable
from adapters.jobs.taking_part import TENSORS, Announced, Participant, Train
from adapters.jobs.tensorfile import UnfitFileError, content_sha256, file_digest, read_stored
from adapters.member import Member
from adapters.mqtt.certified import Certified
from adapters.mqtt.connecting import NO_SUBSCRIBERS, NOT_AUTHORIZED, TOO_LARGE, Address, LinkBounds
from adapters.mqtt.envelope import Ask, Letter, properties_of, read_letter
from adapters.mqtt.link import Link
from adapters.mqtt.topics import from_topic, job_topic, to_topic
from adapters.wire import read_problem

__all__ = ["Address", "Announced", "MqttMember", "Train"]

_ANSWER_SECONDS = 20.0
_LONGEST_WAIT_SECONDS = 25.0
_FIRST_WORD_SECONDS = 60.0
_TRIES = 4
_AGAIN_SECONDS = 2.0
_TOPIC_SECONDS = 3.0
_ROOM_BYTES = 32 * 1024

_log = logging.getLogger("ztfm.mqtt")


class MqttMember(Participant):
    """A member of a job behind a broker. A context manager, for one thread at a time.

    A connection that goes, in the middle of a round too, comes back by itself. What was asked is asked once more until
    it is answered or too late: with the same words, so that it counts once.

    Args:
        member: the enrolled device.
        address: of the broker.
        audience: the aggregator's name; the job's topics follow from it.
        context: returns how TLS connections are made; none for no TLS, for a broker that is no other's.
        answer_seconds: how long to wait for an answer before the same is asked again.
        bounds: of the connection.
        clock: Unix seconds.
    """

    def __init__(
        self,
        member: Member,
        address: Address,
        *,
        audience: str = "aggregator-1",
        context: Callable[[], ssl.SSLContext] | None,
        answer_seconds: float = _ANSWER_SECONDS,
        bounds: LinkBounds | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(member)
        self._audience = audience
        self._answer_seconds = answer_seconds
        self._clock = clock
        self._incarnation = secrets.token_hex(8)
        self._now: Announced | None = None
        self._waits_for = b""
        self._answer: Letter | None = None
        self._ours = to_topic(audience, member.id)
        self.link = Link(address, member.id, context, self._arrived, bounds=bounds)
        self.link.subscribe(self._ours, job_topic(audience))

    @classmethod
    def open(cls, member: Member, address: Address, *, server_authority: Path | None = None, **options: Any) -> Self:
        """Return a member that shows the control plane's certificate for its key to the broker.

        Args:
            member: the enrolled device.
            address: of the broker.
            server_authority: PEM file of the authority that the broker's certificate leads to; none for the control
                plane's own, beside the system's.
            options: the other arguments of the constructor, such as ``audience``.
        """
        certified = Certified(member.key, member.plane, server_authority)
        return cls(member, address, context=certified.context, **options)

    def __enter__(self) -> Self:
        self.link.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back the connection; the member stays open."""
        self.link.close()

    def current(self, after: str | None = None) -> Announced:
        """Return how the job stands; with a version, wait a while for another.

        Raises:
            Forbidden: the broker gives this device no topics.
            Conflict: another process uses this device's key.
            Unavailable: there is no broker, or no job there.
        """
        seconds = _FIRST_WORD_SECONDS if self._now is None else _LONGEST_WAIT_SECONDS
        deadline = time.monotonic() + seconds

        def is_news() -> bool:
            return self._now is not None and self._now.version != after

        while not self.link.wait(is_news, min(1.0, max(0.0, deadline - time.monotonic()))):
            self._require_own_session()
            self.link.tend()
            if time.monotonic() >= deadline:
                break
        if self._now is None:
            raise self._silent(f"no job showed itself within {seconds:g} s")
        return self._now

    def announce(self, audience: str) -> None:
        """Ask to be invited to the next round."""
        self._ask("announce", self._member.introduce(audience).to_dict(), seconds=self._answer_seconds * _TRIES)

    def pull(self, terms: RoundTerms, path: Path) -> None:
        """Put the weights of a round into a file."""
        fields = {**self._member.pull(terms).to_dict(), "round": terms.round_id}
        answer = self._ask("pull", fields, seconds=self._left())
        path.write_bytes(answer.payload)
        try:
            found = file_digest(path, read_stored(path))
        except UnfitFileError as error:
            raise Unavailable(f"the weights cannot be read: {error}") from None
        if found != terms.model_digest:
            raise Unavailable("the weights are not those of the round: they were changed on their way")

    def submit(self, terms: RoundTerms, update: Path, examples: int) -> str:
        """Send an update and return its digest."""
        trained = self._described(update, int(examples))
        with self._released(terms, update, trained) as (shown, sent, digest):
            fields = {
                **shown.to_dict(),
                "round": terms.round_id,
                "digest": digest,
                "content": content_sha256(sent).hex(),
                "examples": str(int(examples) if sent == update else 1),
            }
            self._ask("submit", fields, sent.read_bytes(), seconds=self._left())
        return digest

    def renew(self, terms: RoundTerms, digest: str) -> None:
        """Show fresh credentials for an update that was sent a while ago."""
        fields = {**self._shown_again(terms, digest).to_dict(), "round": terms.round_id, "digest": digest}
        self._ask("renew", fields, seconds=self._answer_seconds)

    def carried(self, fields: dict[str, str]) -> dict[str, str]:
        """Return user properties as they are sent."""
        return fields

    def _ask(self, ask: Ask, fields: dict[str, str], payload: bytes = b"", *, seconds: float) -> Letter:
        """Ask something, and return the answer.

        Raises:
            ControlPlaneError: it was refused, or no answer came in time.
        """
        largest = self.link.largest_bytes
        if largest is not None and len(payload) + _ROOM_BYTES > largest:
            raise Invalid(f"the broker takes messages of at most {largest} bytes, and this one has {len(payload)}")
        deadline = time.monotonic() + seconds
        correlation = self._waits_for = secrets.token_bytes(16)
        self._answer = None
        topic, sent = (
            from_topic(self._audience, self._member.id),
            self.carried({"ask": ask, "incarnation": self._incarnation, **fields}),
        )
        try:
            while (left := deadline - time.monotonic()) > 0:
                properties = properties_of(
                    sent,
                    content_type=TENSORS if payload else "",
                    reply_to=self._ours,
                    correlation=correlation,
                    expiry_seconds=left,
                )
                number = self.link.publish(topic, payload, properties)
                answer = self._awaited(number, min(left, self._answer_seconds))
                if answer is not None:
                    return _accepted(answer)
                if self._has_ended:
                    raise Unavailable("the job has ended")
            raise self._silent(f"no answer to {ask!r} came in {seconds:.0f} s")
        finally:
            self._waits_for, self._answer = b"", None

    def _awaited(self, number: int | None, seconds: float) -> Letter | None:
        """Wait for the answer to a message, and return it; none when the same is to be asked again."""
        began, connections = time.monotonic(), self.link.connections
        deadline = began + seconds

        def is_lost() -> bool:
            """Whether nobody was there to read it, or the answer may have gone with the connection."""
            nobody = number is None or self.link.outcome(number) == NO_SUBSCRIBERS
            since = began if self.link.connections == connections else self.link.connected_at
            has_gone = self.link.is_connected and self.link.connections != connections
            return (nobody or has_gone) and time.monotonic() - since >= _AGAIN_SECONDS

        def is_over() -> bool:
            return self._answer is not None or (number is not None and self.link.is_refused(number))

        while not self.link.wait(is_over, min(1.0, max(0.0, deadline - time.monotonic()))):
            self._require_own_session()
            self.link.tend()
            if time.monotonic() >= deadline or is_lost() or self._has_ended:
                return None
        if self._answer is None and number is not None:
            reason = self.link.outcome(number)
            if reason == TOO_LARGE:
                raise Invalid("the message is larger than the broker takes")
            if reason == NOT_AUTHORIZED:
                # Topics may be given in a moment: after an outage, or right after the device was enrolled.
                self.link.wait(lambda: self._answer is not None, min(_TOPIC_SECONDS, max(0.0, seconds)))
        return self._answer

    def _arrived(self, message: MQTTMessage) -> None:
        """Take in what came; in the link's thread."""
        if message.topic != self._ours:
            try:
                self._now = Announced.of(json.loads(message.payload))
            except (ValueError, RecursionError, TypeError, AttributeError, Unavailable):
                _log.warning("what the job's topic shows cannot be read")
        else:
            letter = read_letter(message)
            if letter is None or not self._waits_for or letter.correlation != self._waits_for:
                # An answer that was waited for once, or one to another process before this one.
                return
            self._answer = letter
        self.link.notify()

    @property
    def _has_ended(self) -> bool:
        return self._now is not None and self._now.state in ("ended", "stopped")

    def _left(self) -> float:
        """Return for how many seconds the round is open."""
        closes_at = self._now.closes_at if self._now is not None else 0.0
        return max(1.0, closes_at - self._clock())

    def _require_own_session(self) -> None:
        if self.link.is_taken_over:
            raise Conflict("another process uses this device's key at the broker: each device has a key of its own")

    def _silent(self, what: str) -> Unavailable | Forbidden:
        if not self.link.is_connected:
            return Unavailable(f"{what}: there is no connection to the broker. {self.link.last_words}".rstrip())
        if not self.link.has_topics:
            return Forbidden(
                f"{what}: the broker gives this device no topics. Policy does not allow it to take part (mqtt_topic), "
                "or nobody keeps the broker's topics now."
            )
        return Unavailable(f"{what}: is an aggregator at this broker, and is {self._audience} its name?")


def _accepted(answer: Letter) -> Letter:
    """Return an answer that is no refusal.

    Raises:
        ControlPlaneError: it is one, or cannot be read.
    """
    status = answer.field("status")
    if status not in ("200", "202"):
        number = int(status) if status.isdecimal() and len(status) == 3 else 0
        raise read_problem(number, answer.payload)
    if status == "200" and hashlib.sha256(answer.payload).hexdigest() != answer.field("content"):
        raise Unavailable("what came is not what the aggregator sent: it was changed on its way")
    return answer
