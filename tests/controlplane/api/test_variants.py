"""Every field of every permitted request body is spoilt, over HTTP: it is refused, or what it says is meant."""

import copy
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pydantic import ValidationError

from controlplane.contracts.rounds import UpdateReport
from controlplane.jose.keys import DeviceKey
from tests.support import DIGEST, MODEL, Caller, ControlPlane

ABSENT = object()
VALUES: list[Any] = [
    ABSENT,
    None,
    True,
    0,
    1,
    -1,
    0.5,
    1e308,
    10**30,
    float("nan"),
    float("inf"),
    "",
    "0",
    "x",
    "\u0000",
    "x" * 9000,
    [],
    [None],
    ["x"],
    {},
    {"x": 1},
    "trainer",
    "device",
    "training",
    "serving",
    "gradient_submission",
    "smart-home-intents",
    "sentence-encoder",
    "sha256:" + "0" * 64,
]
Meant = Callable[[Any], bool]


def size(high: int) -> Meant:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= high


def named(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 128


def anything(_value: Any) -> bool:
    return True


def variants(body: Any) -> Iterator[tuple[str, Any, Any]]:
    def spots(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
            yield (*path, key)
            yield from spots(value, (*path, key))

    for spot in spots(body):
        for value in VALUES:
            variant = copy.deepcopy(body)
            node = variant
            for key in spot[:-1]:
                node = node[key]
            if value is ABSENT:
                del node[spot[-1]]
            else:
                node[spot[-1]] = value
            if json.dumps(variant) != json.dumps(body):
                yield ".".join(map(str, spot)), value, variant


def is_meant(meant: dict[str, Meant], place: str, value: Any) -> bool:
    return any((place == name or place.startswith(name + ".")) and meant[name](value) for name in meant)


def capability_body(action: str, **context: Any) -> dict[str, Any]:
    resource = {"type": "model", "id": MODEL, "properties": {"digest": DIGEST}}
    return {"action": action, "resource": resource, "audience": "aggregator-1", "context": context}


SIZE = {"prompt_tokens": 10, "max_output_tokens": 10}
SIZED: dict[str, Meant] = {
    "context.inference.prompt_tokens": size(4096),
    "context.inference.max_output_tokens": size(199_000),
}
SERVED: dict[str, Meant] = {
    # Another model that this device may ask as well, or pull.
    "resource.id": lambda value: value == "sentence-encoder",
}
UNBOUND: dict[str, Meant] = {"resource.properties": anything}

CAPABILITIES: dict[str, tuple[str, dict[str, Any], dict[str, Meant]]] = {
    "pull": (
        "trainer",
        capability_body("model_access", purpose="training", round_id="variants"),
        # A member may as well ask to submit.
        {"audience": named, "action": lambda value: value == "gradient_submission"},
    ),
    "submission": (
        "trainer",
        capability_body("gradient_submission", round_id="variants"),
        # A submission is bound by round and model; a purpose or a size says nothing of it.
        {"audience": named, **UNBOUND},
    ),
    "inference": (
        "consumer",
        capability_body("inference", inference=SIZE),
        {"audience": named, **UNBOUND, **SIZED, **SERVED},
    ),
    "serving": (
        "consumer",
        capability_body("model_access", purpose="serving"),
        {
            "audience": named,
            **SERVED,
            # A served model may be any release unless its releases are pinned.
            "resource.properties.digest": lambda value: isinstance(value, str) and value.startswith("sha256:"),
        },
    ),
}


@pytest.fixture(scope="module")
def members(plane: ControlPlane, aggregator: Caller) -> dict[str, Caller]:
    found = {"trainer": plane.enrol("trainer"), "consumer": plane.enrol("consumer"), "gateway": plane.enrol("gateway")}
    aggregator.open_round("variants", [found["trainer"]])
    return found


@pytest.mark.parametrize("name", CAPABILITIES)
def test_no_spoilt_request_gets_a_capability(members: dict[str, Caller], name: str) -> None:
    role, body, meant = CAPABILITIES[name]
    members[role].post("/v1/capabilities", body).expect(201)
    tried = list(variants(body))
    with ThreadPoolExecutor(4) as threads:
        replies = list(threads.map(lambda item: members[role].post("/v1/capabilities", item[2]), tried))
    assert {reply.status for reply in replies} <= {201, 400, 403}
    wrong = [
        (place, value)
        for (place, value, _), reply in zip(tried, replies, strict=True)
        if reply.status == 201 and not is_meant(meant, place, value)
    ]
    assert wrong == []


def evaluation_body(subject: Caller, action: str, **context: Any) -> dict[str, Any]:
    return {
        "subject": {"type": "device", "id": subject.id, "properties": {"note": "x"}},
        "action": {"name": action, "properties": {"note": "x"}},
        "resource": {"type": "model", "id": MODEL, "properties": {"digest": DIGEST}},
        "context": {"network": {"address": "127.0.0.1"}, **context},
    }


OPEN: dict[str, Meant] = {
    "subject.properties": anything,
    "action.properties": anything,
    # Without a word on it, the address is the gateway's own, which is a permitted one here.
    "context.network": lambda value: value is ABSENT or value is None,
}


@pytest.mark.parametrize("action", ["inference", "model_access"])
def test_no_spoilt_evaluation_is_permitted(members: dict[str, Caller], action: str) -> None:
    context: dict[str, Any] = {"inference": SIZE} if action == "inference" else {"purpose": "serving"}
    meant = {**OPEN, **SERVED, **(SIZED | UNBOUND if action == "inference" else CAPABILITIES["serving"][2])}
    body = evaluation_body(members["consumer"], action, **context)
    gateway = members["gateway"]
    assert gateway.post("/access/v1/evaluation", body).expect(200)["decision"] is True
    tried = list(variants(body))
    with ThreadPoolExecutor(4) as threads:
        replies = list(threads.map(lambda item: gateway.post("/access/v1/evaluation", item[2]), tried))
    assert {reply.status for reply in replies} <= {200, 400}
    wrong = [
        (place, value)
        for (place, value, _), reply in zip(tried, replies, strict=True)
        if reply.status == 200 and reply.json["decision"] and not is_meant(meant, place, value)
    ]
    assert wrong == []


def test_no_spoilt_enrolment_enrols(plane: ControlPlane) -> None:
    body = {"token": plane.token(["consumer"], "homes"), "roles": ["consumer"], "segment": "homes"}
    tried = list(variants(body))
    replies = [plane.call("POST", "/v1/devices", variant, key=DeviceKey.generate()) for _, _, variant in tried]
    assert {reply.status for reply in replies} <= {400, 403}
    plane.call("POST", "/v1/devices", body, key=DeviceKey.generate()).expect(201)


EVIDENCE: dict[str, Meant] = {
    "evidence.update_digest": anything,
    "evidence.parameters": lambda value: value >= 1,
    "evidence.norm": lambda value: value > 0,
    "evidence.norm_ratio": lambda value: 0 < value <= 3,
    "evidence.cosine": lambda value: value >= 0,
    "evidence.sign_agreement": anything,
    "evidence.examples": lambda value: 1 <= value <= 100_000,
    "evidence.layer_shares": anything,
    # No cause given is what a verified update has.
    "verification.cause": lambda value: value is ABSENT,
}


def test_no_spoilt_report_admits_an_update(plane: ControlPlane, aggregator: Caller) -> None:
    sample = plane.report(aggregator, "token")
    fitting = []
    refused = 0
    for place, value, variant in variants(sample):
        try:
            UpdateReport.model_validate_json(json.dumps(variant))
        except ValidationError:
            refused += 1
        else:
            fitting.append((place, value))
    assert refused > 300
    assert len(fitting) >= 40
    with ThreadPoolExecutor(4) as threads:
        devices = list(threads.map(lambda _: plane.enrol("trainer"), fitting))
        aggregator.open_round("variants-of-reports", devices)
        tokens = list(
            threads.map(
                lambda device: device.capability("gradient_submission", round_id="variants-of-reports").expect(201),
                devices,
            )
        )
    updates = []
    for (place, value), device, token in zip(fitting, devices, tokens, strict=True):
        found = [
            variant
            for spot, other, variant in variants(plane.report(device, token["access_token"]))
            if spot == place and other is value
        ]
        updates.append(found[0])
    body = aggregator.post("/v1/rounds/variants-of-reports/updates", {"updates": updates}).expect(200)
    wrong = [
        (place, value)
        for (place, value), verdict in zip(fitting, body["verdicts"], strict=True)
        if verdict["decision"] and not is_meant(EVIDENCE, place, value)
    ]
    assert wrong == []
    assert [verdict["decision"] for verdict in body["verdicts"]].count(True) > 5
