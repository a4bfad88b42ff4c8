"""A connection to a broker that comes back by itself: one session, jitter between tries, outcomes of what was sent."""

import logging
import random
import ssl
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from adapters.errors import ControlPlaneError
from adapters.mqtt.connecting import TAKEN_OVER, Address, LinkBounds

_FAILED = 0x80

_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 30.0
_BRIEF_SECONDS = 3.0
_BRIEF_AT_MOST = 2

_ASK_AGAIN_SECONDS = 2.0
_OUTCOMES = 4096

_log = logging.getLogger("ztfm.mqtt")


class Link:
    """A connection. Its own thread speaks to the broker and calls ``on_message``; everything else is for any thread.

    The session outlives the connection: what was sent and not acknowledged is sent again, what came meanwhile is had
    afterwards, as often as QoS 1 has it.

    Args:
        address: of the broker.
        name: the client's identifier at the broker, which takes the certificate's name in its place.
        context: returns how TLS connections are made, asked before each; none for no TLS.
        on_message: called with each message, in the link's thread; must not raise.
        on_change: called when the connection came, went, or topics were refused or given.
        bounds: that the connection does not go beyond.
        is_acknowledged: messages are acknowledged when ``on_message`` returns; else by `acknowledge`.

    Attributes:
        connections: how often the broker took a connection.
        connected_at: when the latest was made, on ``time.monotonic``.
        sessions: how often the broker began a new session; what was on its way then may be lost.
        is_taken_over: the broker said that another connection of the same name took the session, which not every one
            does. The link has ended then: two processes with one key would only take turns.
        largest_bytes: packet that the broker takes; none until it said so, or where it takes any.
    """

    def __init__(
        self,
        address: Address,
        name: str,
        context: Callable[[], ssl.SSLContext] | None,
        on_message: Callable[[MQTTMessage], None],
        *,
        on_change: Callable[[], None] = lambda: None,
        bounds: LinkBounds | None = None,
        is_acknowledged: bool = True,
    ) -> None:
        self.connections = 0
        self.connected_at = 0.0
        self.sessions = 0
        self.is_taken_over = False
        self.largest_bytes: int | None = None
        self._address = address
        self._context = context
        self._on_message = on_message
        self._on_change = on_change
        self._bounds = bounds or LinkBounds()
        self._failures = 0
        self._brief = 0
        self._ends = threading.Event()
        self._wanted: dict[str, bool] = {}
        self._asked: dict[int, Sequence[str]] = {}
        self._asked_at = 0.0
        self._outcomes: OrderedDict[int, int] = OrderedDict()
        self._settled = threading.Condition()
        self._last_words = ""
        self._has_tls = False
        self._is_started = False
        self._client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=name,
            protocol=MQTTProtocolVersion.MQTTv5,
            manual_ack=not is_acknowledged,
        )
        self._client.max_inflight_messages_set(self._bounds.inflight)
        self._client.max_queued_messages_set(self._bounds.queued)
        # Pauses are made before each connection, with jitter.
        self._client.reconnect_delay_set(0, 0)
        self._client.on_pre_connect = self._prepare
        self._client.on_connect = self._connected
        self._client.on_disconnect = self._disconnected
        self._client.on_subscribe = self._subscribed
        self._client.on_publish = self._published
        self._client.on_message = lambda _client, _data, message: self._on_message(message)

    def start(self) -> None:
        """Connect from now on, in the background."""
        properties: Any = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho's
        properties.SessionExpiryInterval = self._bounds.session_seconds
        properties.ReceiveMaximum = self._bounds.inflight
        self._client.connect_async(
            self._address.host,
            self._address.port,
            keepalive=self._bounds.keepalive_seconds,
            clean_start=False,
            properties=properties,
        )
        self._is_started = True
        self._client.loop_start()

    def close(self) -> None:
        """Say goodbye and end the thread; the session is kept as long as it was asked for."""
        self._ends.set()
        with self._settled:
            self._settled.notify_all()
        if self._is_started:
            self._client.disconnect()
            self._client.loop_stop()

    @property
    def is_connected(self) -> bool:
        """Whether the broker took the connection, as far as is known."""
        return self._client.is_connected()

    @property
    def has_topics(self) -> bool:
        """Whether it is connected, and all topics that were subscribed to are given."""
        return self.is_connected and all(self._wanted.values())

    @property
    def last_words(self) -> str:
        """Why there was no connection the last time; empty where there was one."""
        return self._last_words

    def subscribe(self, *topics: str) -> None:
        """Have topics from now on, asked for anew where the broker refuses one (`tend`)."""
        self._wanted.update(dict.fromkeys(topics, False))
        if self.is_connected:
            self._ask_for(list(topics))

    def tend(self) -> None:
        """Ask once more for topics that were refused; call it now and then."""
        missing = [topic for topic, is_given in self._wanted.items() if not is_given]
        if missing and self.is_connected and time.monotonic() - self._asked_at >= _ASK_AGAIN_SECONDS:
            self._ask_for(missing)

    def publish(self, topic: str, payload: bytes, properties: Properties, *, retain: bool = False) -> int | None:
        """Send a message with QoS 1, and return its number; none where too many wait to be sent.

        Without a connection it waits for one.
        """
        info: MQTTMessageInfo = self._client.publish(topic, payload, qos=1, retain=retain, properties=properties)
        return None if info.rc == MQTTErrorCode.MQTT_ERR_QUEUE_SIZE else info.mid

    def outcome(self, number: int) -> int | None:
        """Return what the broker answered to a message (a reason code, MQTT 5 section 2.4), or none so far."""
        return self._outcomes.get(number)

    def is_refused(self, number: int) -> bool:
        """Whether the broker refused a message."""
        return (self._outcomes.get(number) or 0) >= _FAILED

    def acknowledge(self, message: MQTTMessage) -> None:
        """Acknowledge a message: the broker will not send it again."""
        self._client.ack(message.mid, message.qos)

    def wait(self, claim: Callable[[], bool], seconds: float) -> bool:
        """Return whether a claim holds, after waiting up to so many seconds for it; looked at whenever something came.

        `notify` has it looked at.
        """
        deadline = time.monotonic() + seconds
        with self._settled:
            while not claim():
                left = deadline - time.monotonic()
                if left <= 0 or self._ends.is_set():
                    return claim()
                self._settled.wait(min(left, 0.5))
        return True

    def notify(self) -> None:
        """Have those who wait look again."""
        with self._settled:
            self._settled.notify_all()

    def _prepare(self, client: Client, _data: object) -> None:
        """Wait a while after a failure, and show a certificate that holds. In the link's thread."""
        if self._brief >= _BRIEF_AT_MOST:
            self._brief = 0
            self._pause(self._bounds.contested_seconds)
        elif self._failures:
            longest = min(_FIRST_PAUSE * 2**self._failures, _LONGEST_PAUSE)
            self._pause(longest)
        self._failures = min(self._failures + 1, 16)
        if self._context is None or self._ends.is_set():
            return
        try:
            context = self._context()
            if not self._has_tls:
                context.sslsocket_class = _TidySocket
                client.tls_set_context(context)
                self._has_tls = True
        except (ControlPlaneError, OSError, ValueError) as error:
            self._say(f"no certificate for the broker: {error}")
            # Tried again after a pause, as a connection that cannot be made.
            raise _NoConnectionError(str(error)) from None

    def _connected(
        self, _client: Client, _data: object, flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if reason.is_failure:
            self._say(f"the broker refuses the connection: {reason}")
            return
        self._failures = 0
        self.connections += 1
        self.connected_at = time.monotonic()
        self.sessions += not flags.session_present
        self._last_words = ""
        self.largest_bytes = getattr(properties, "MaximumPacketSize", None)
        _log.info("connected to the broker; the session is %s", "kept" if flags.session_present else "new")
        self._ask_for(list(self._wanted))
        self._changed()

    def _disconnected(
        self, client: Client, _data: object, flags: DisconnectFlags, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        self._failures = max(self._failures, 1)
        is_brief = time.monotonic() - self.connected_at < _BRIEF_SECONDS and not flags.is_disconnect_packet_from_server
        self._brief = self._brief + 1 if is_brief else 0
        if flags.is_disconnect_packet_from_server and reason.value == TAKEN_OVER:
            self.is_taken_over = True
            self._ends.set()
            client.disconnect()
            self._say("another process uses this key at the broker; the connection is left to it")
        elif not self._ends.is_set():
            self._say(f"the connection to the broker went: {reason}")
        self._changed()

    def _pause(self, longest: float) -> None:
        self._ends.wait(longest * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load, hides nothing

    def _ask_for(self, topics: list[str]) -> None:
        if not topics:
            return
        self._asked_at = time.monotonic()
        for topic in topics:
            self._wanted[topic] = False
        _, number = self._client.subscribe([(topic, SubscribeOptions(qos=1)) for topic in topics])
        if number is not None:
            self._asked[number] = topics

    def _subscribed(
        self, _client: Client, _data: object, number: int, reasons: list[ReasonCode], _properties: Properties | None
    ) -> None:
        for topic, reason in zip(self._asked.pop(number, ()), reasons, strict=False):
            self._wanted[topic] = not reason.is_failure
            if reason.is_failure:
                _log.info("the broker refuses %s: %s", topic, reason)
        self._changed()

    def _published(
        self, _client: Client, _data: object, number: int, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        while len(self._outcomes) >= _OUTCOMES:
            self._outcomes.popitem(last=False)
        self._outcomes[number] = reason.value
        self._changed()

    def _changed(self) -> None:
        self._on_change()
        self.notify()

    def _say(self, line: str) -> None:
        if line != self._last_words:
            _log.warning("%s", line)
        self._last_words = line


class _TidySocket(ssl.SSLSocket):
    """Closes itself when the other side breaks off the handshake, which paho leaves open."""

    def do_handshake(self, block: bool = False) -> None:
        """As `ssl.SSLSocket.do_handshake`."""
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


class _NoConnectionError(OSError):
    """There is nothing to connect with; it counts as a connection that failed."""
