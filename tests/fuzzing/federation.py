"""Parsers of what members of a federation send: envelopes, Flower's calls and objects, messages of secure sums."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

from tests.fuzzing.aiming import NotTaken, Target, at_once, pairs_of, taken, text_of

_TERMS = {"round_id": "r1", "model": "m", "model_digest": "sha256:" + "d" * 64, "audience": "aggregator-1"}


def _letter() -> Target:
    """User properties, a line each, beside a payload that is the bytes themselves."""
    from paho.mqtt.client import MQTTMessage

    from adapters.mqtt.envelope import properties_of, read_letter

    def _take(data: bytes) -> object:
        message: Any = MQTTMessage()
        message.properties, message.payload = properties_of({}), data
        message.properties.UserProperty = pairs_of(data)
        message.properties.CorrelationData = data[:65]
        return taken(read_letter(message))

    return Target(_take, [b"ask: pull\nround: r1\nvendor: x", b"proof: a.b.c\ndigest: sha256"])


def _dynamic_security() -> Target:
    """What a broker, or whoever may publish as it, answers to the keeper of topics."""
    from paho.mqtt.client import MQTTMessage

    from adapters.mqtt.dynamic import DynamicSecurity

    class _Quiet:
        def subscribe(self, *_topics: str) -> None: ...

        def notify(self) -> None: ...

    security = DynamicSecurity(_Quiet(), "keeper")  # type: ignore[arg-type]

    def _take(data: bytes) -> object:
        message: Any = MQTTMessage()
        message.payload = data
        return security.arrived(message)

    return Target(_take, [b'{"responses": [{"command": "listClients", "correlationData": "a", "error": "e"}]}'])


def _fleet_calls() -> Target:
    """The bytes as each call of Flower's Fleet API that is let through."""
    from flwr.proto.message_pb2 import ObjectTree

    from adapters.flower.proxy.deliveries import objects_of
    from adapters.flower.proxy.fleet import _REQUESTS, read_call

    def _take(data: bytes) -> object:
        found = [call for name in _REQUESTS if (call := read_call(name, data)) is not None]
        for call in found:
            assert isinstance(call.node_id, int)
            assert isinstance(call.public_key, bytes)
            for tree in getattr(call.request, "message_object_trees", ()):
                objects_of(tree, 64)
        return taken(found or None)

    push = _REQUESTS["push-messages"]()
    push.node.node_id = 7
    push.message_object_trees.append(ObjectTree(object_id="a", children=[ObjectTree(object_id="b")]))
    pull = _REQUESTS["pull-object"](object_id="a", run_id=3)
    pull.node.node_id = 7
    return Target(_take, [push.SerializeToString(), pull.SerializeToString()])


def _pushed_object() -> Target:
    """Read piece by piece, and as protobuf reads it: what both take means the same."""
    from flwr.proto.message_pb2 import PushObjectRequest

    from adapters.flower.proxy.scanning import Malformed, PushedObject

    def _take(data: bytes) -> object:
        reading = PushedObject()
        for start in range(0, len(data), 5):
            reading.feed(data[start : start + 5])
        found, whole = reading.end(), PushObjectRequest.FromString(data)
        whole.ClearField("object_content")
        assert found == whole
        return found

    seed = PushObjectRequest(run_id=3, object_id="a", object_content=b"x" * 40, session_id="s")
    seed.node.node_id = 7
    return Target(_take, [seed.SerializeToString()], (Malformed,))


def _announced_round() -> Target:
    from adapters.credentials import RoundTerms
    from adapters.flower.proxy.headers import AnnouncedRound

    seed = AnnouncedRound(RoundTerms(**_TERMS), "train").to_header()
    return Target(lambda data: taken(AnnouncedRound.from_header(text_of(data))), [seed.encode()])


def _announced_terms() -> Target:
    """As if the header's base64 were whole."""
    import base64

    from adapters.flower.proxy.headers import AnnouncedRound

    def _take(data: bytes) -> object:
        return taken(AnnouncedRound.from_header(base64.urlsafe_b64encode(data).decode()))

    return Target(_take, [json.dumps({**_TERMS, "stage": "train"}).encode()])


def stored(record: bytes) -> bytes:
    """Return the names of a message's records, of which the one that counts is ``record``."""
    from adapters.flower.records import RECORD

    return b"RecordDict 1\x00" + json.dumps({RECORD: "a"}).encode() + b"\x00\n" + record


def _stored_round() -> Target:
    """The names of a message's records, and the record that says which round it is of, parted by a zero and a line."""
    from flwr.app import ConfigRecord

    from adapters.flower.proxy.terms import announced_round, object_in
    from adapters.flower.questions import STAGE

    def _take(data: bytes) -> object:
        object_in(data, hashlib.sha256(data).hexdigest())
        names, _, record = data.partition(b"\x00\n")

        async def fetch(object_id: str) -> bytes | None:
            return names if object_id == "contents" else record

        return taken(at_once(announced_round("contents", fetch, "aggregator-1")))

    record = ConfigRecord({**_TERMS, STAGE: "train"}).deflate()
    return Target(_take, [stored(record)])


def _announcement() -> Target:
    """How an aggregator says that its job stands, over HTTP or as a note that a broker keeps."""
    from adapters.errors import Unavailable
    from adapters.jobs.taking_part import Announced

    def _take(data: bytes) -> object:
        return Announced.of(json.loads(data))

    seed = {**_TERMS, "version": "a-1", "state": "open", "closes_at": 9.5, "size_bytes": 7, "renew": ["dev-1"]}
    return Target(_take, [json.dumps(seed).encode()], (Unavailable, ValueError, RecursionError))


def _secure_sum() -> Target:
    """The bytes as each message of the protocol for sums."""
    from adapters.secureaggregation import messages
    from controlplane.contracts.base import StrictModel

    kinds = [one for one in vars(messages).values() if isinstance(one, type) and issubclass(one, StrictModel)]
    kinds = [one for one in kinds if one is not StrictModel]

    def _take(data: bytes) -> object:
        found = [messages.read(kind, data) for kind in kinds]
        if all(one is None for one in found):
            raise NotTaken
        return found

    return Target(_take, [b'{"places":[0,2,5]}', b'{"tokens":[]}'])


def _masked_values() -> Target:
    from adapters.secureaggregation.messages import Masked, read_masked, write_masked

    seed = bytes(write_masked(Masked(b"\x01" * 16, (1, 3))))
    return Target(lambda data: taken(read_masked(data, 16)), [seed])


MADE: dict[str, Callable[[], Target]] = {
    "announced_round": _announced_round,
    "announcement": _announcement,
    "announced_terms": _announced_terms,
    "broker_answer": _dynamic_security,
    "fleet_calls": _fleet_calls,
    "letter": _letter,
    "masked_values": _masked_values,
    "pushed_object": _pushed_object,
    "secure_sum": _secure_sum,
    "stored_round": _stored_round,
}
"""By name."""
