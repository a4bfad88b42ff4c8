"""Whatever a body holds, the answer is a clear 4xx that names the field and repeats no value."""

import asyncio
import gzip
import json
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controlplane.api.problems import ProblemError
from controlplane.api.reading import parse_body
from controlplane.api.serving import serving
from controlplane.contracts.access import EvaluationRequest, EvaluationsRequest
from controlplane.contracts.capability import CapabilityRequest
from controlplane.contracts.identity import EnrolmentRequest
from controlplane.contracts.rounds import RoundRequest, UpdateReports
from tests.support import DIGEST, MODEL, Caller, ControlPlane, honest_evidence

SECRET = "sesame-open-42"

ENROL = {"token": SECRET, "roles": ["trainer"], "segment": "homes"}
CAPABILITY = {
    "action": "inference",
    "resource": {"type": "model", "id": MODEL, "properties": {"digest": DIGEST}},
    "audience": "aggregator-1",
    "context": {"inference": {"prompt_tokens": 1, "max_output_tokens": 1}},
}
ROUND = {"id": "bad-round", "model": MODEL, "model_digest": DIGEST, "members": ["a"], "duration_seconds": 1.0}
UPDATES = {
    "updates": [
        {"subject": "dev-1", "capability": "x", "verification": {"verified": True}, "evidence": honest_evidence()}
    ]
}
EVALUATION = {
    "subject": {"type": "device", "id": "dev-1", "properties": {"colour": "red"}},
    "action": {"name": "inference", "properties": {"mode": "chat"}},
    "resource": {"type": "model", "id": MODEL},
    "context": {"inference": {"prompt_tokens": 1, "max_output_tokens": 1}, "tags": ["a"], "weight": 0.5},
}
BATCH = {**EVALUATION, "evaluations": [{}, EVALUATION], "options": {"evaluations_semantic": "execute_all"}}

BODIES: dict[str, tuple[str, dict[str, Any], Any]] = {
    "/v1/devices": ("trainer", ENROL, EnrolmentRequest),
    "/v1/capabilities": ("consumer", CAPABILITY, CapabilityRequest),
    "/v1/rounds": ("aggregator", ROUND, RoundRequest),
    "/v1/rounds/any/updates": ("aggregator", UPDATES, UpdateReports),
    "/access/v1/evaluation": ("gateway", EVALUATION, EvaluationRequest),
    "/access/v1/evaluations": ("gateway", BATCH, EvaluationsRequest),
}
PATHS = sorted(BODIES)
LISTS = {"/v1/rounds", "/v1/rounds/any/updates", "/access/v1/evaluations"}
"""What is asked about many things at once, and may be as large."""

STRICT = [path for path in PATHS if not path.startswith("/access/")]
"""AuthZEN's endpoints ignore what they do not know, and answer 400 where the others answer 415."""


@pytest.fixture(scope="module")
def callers(plane: ControlPlane) -> dict[str, Caller]:
    return {role: plane.enrol(role) for role in ("trainer", "consumer", "aggregator", "gateway")}


def send(callers: dict[str, Caller], path: str, body: bytes, **options: Any) -> Any:
    reply = callers[BODIES[path][0]].plane.call("POST", path, body=body, key=callers[BODIES[path][0]].key, **options)
    assert SECRET not in reply.body.decode()
    return reply


@pytest.mark.parametrize("path", PATHS)
def test_the_bodies_that_are_spoilt_here_fit_before(path: str) -> None:
    _, body, model = BODIES[path]
    parse_body(json.dumps(body).encode(), model)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"nonsense",
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b"{}{}",
        b"[" * 100_000,
        b"[" * 5_000 + b"]" * 5_000,
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b'{"a": 1, "a": 2}',
        b'{"a": {"b": 1, "b": 1}}',
        b'"\\ud800"',
        b'{"a": 1e999}',
        b"1" * 10_000,
        b"null",
        b"[]",
        b"true",
    ],
    ids=lambda raw: repr(raw[:16]),
)
def test_what_is_no_contract_is_400(callers: dict[str, Caller], path: str, raw: bytes) -> None:
    assert send(callers, path, raw).kind == "invalid-request"


@pytest.mark.parametrize("path", PATHS)
def test_a_name_that_is_repeated_is_refused_even_with_the_same_value(callers: dict[str, Caller], path: str) -> None:
    text = json.dumps(BODIES[path][1])
    name, value = next(iter(BODIES[path][1].items()))
    repeated = text[:-1] + f', "{name}": {json.dumps(value)}}}'
    reply = send(callers, path, repeated.encode())
    assert reply.kind == "invalid-request"
    assert "repeated" in reply.json["detail"]


@pytest.mark.parametrize("path", STRICT)
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/xml", "", "json"])
def test_another_media_type_is_415(callers: dict[str, Caller], path: str, kind: str) -> None:
    reply = send(callers, path, json.dumps(BODIES[path][1]).encode(), headers={"Content-Type": kind})
    assert reply.kind == "unsupported-media-type"


def test_a_charset_does_not_make_another_media_type(callers: dict[str, Caller]) -> None:
    kind = {"Content-Type": "application/json; charset=utf-8"}
    assert send(callers, "/v1/capabilities", json.dumps(CAPABILITY).encode(), headers=kind).status == 201


def test_a_compressed_body_is_415_however_large_it_would_become(callers: dict[str, Caller]) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    reply = send(callers, "/v1/capabilities", bomb, headers={"Content-Encoding": "gzip"})
    assert reply.kind == "unsupported-media-type"


@pytest.mark.parametrize("path", PATHS)
def test_a_body_that_is_too_large_is_413(callers: dict[str, Caller], path: str) -> None:
    reply = send(callers, path, b'{"a": "' + b"x" * (4 * 1024 * 1024) + b'"}')
    assert reply.kind == "too-large"


def test_a_large_body_that_fits_nothing_is_400_all_the_same(callers: dict[str, Caller]) -> None:
    reply = send(callers, "/v1/rounds", b'{"a": "' + b"x" * 1_000_000 + b'"}')
    assert reply.kind == "invalid-request"


@pytest.mark.parametrize("is_chunked", [False, True])
@pytest.mark.parametrize("path", [path for path in PATHS if path not in LISTS])
def test_what_is_about_one_thing_is_not_read_as_if_it_were_about_many(
    callers: dict[str, Caller], path: str, is_chunked: bool
) -> None:
    body = b'{"a": "' + b"x" * 200_000 + b'"}'
    headers = {"Transfer-Encoding": "chunked"} if is_chunked else {}
    sent = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if is_chunked else body
    reply = send(callers, path, sent, headers=headers)
    assert reply.kind == "too-large"
    assert "131072" in reply.json["detail"]


def test_headers_that_are_too_large_are_a_problem_too(plane: ControlPlane) -> None:
    marked = b"eyJhbGciOiJFUzI1NiJ9" + b"a" * 20_000
    answer = plane.raw(b"GET /livez HTTP/1.1\r\nHost: x\r\nDPoP: " + marked + b"\r\n\r\n")
    assert answer.split(b" ", 2)[1] == b"400"
    assert b"urn:ztfm:problem:bad-http" in answer
    assert b"eyJ" not in answer


def test_too_many_headers_are_refused(plane: ControlPlane) -> None:
    many = b"".join(b"X-%d: 1\r\n" % number for number in range(500))
    answer = plane.raw(b"GET /livez HTTP/1.1\r\nHost: x\r\n" + many + b"\r\n")
    assert answer.split(b" ", 2)[1] == b"400"


@pytest.mark.parametrize(
    "data", [b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\r\n\r\nnonsense\r\n\r\n"]
)
def test_what_is_no_http_is_answered_and_the_next_request_served(plane: ControlPlane, data: bytes) -> None:
    answer = plane.raw(data)
    assert answer.split(b" ", 2)[1] == b"400"
    assert plane.call("GET", "/livez").status == 200


def test_a_body_that_never_arrives_is_given_up(
    plane: ControlPlane, callers: dict[str, Caller], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controlplane.api.reading.BODY_SECONDS", 0.2)
    proof = plane.proof(callers["consumer"].key, "POST", "/v1/capabilities")
    place = urlsplit(plane.url)
    head = f"POST /v1/capabilities HTTP/1.1\r\nHost: x\r\nDPoP: {proof}\r\nContent-Type: application/json\r\n"
    with socket.create_connection((str(place.hostname), int(place.port or 0)), timeout=10) as connection:
        connection.sendall(f"{head}Content-Length: 100\r\n\r\n{{".encode())
        assert b"408" in connection.recv(65_536)


@pytest.mark.parametrize("data", [b"", b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: "])
async def test_a_connection_that_brings_no_whole_request_is_closed(
    data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controlplane.api.serving.KEEPALIVE_SECONDS", 0.2)
    listener = socket.create_server(("127.0.0.1", 0))
    async with serving(web.Application(), listener):
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(data)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


def _spots(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner: list[tuple[Any, ...]] = []
    if isinstance(node, dict):
        for name, value in node.items():
            inner += _spots(value, (*path, name))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            inner += _spots(value, (*path, index))
    return [path, *inner] if path else inner


def _replaced(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    copy = json.loads(json.dumps(document))
    node = copy
    for part in path[:-1]:
        node = node[part]
    node[path[-1]] = value
    return copy


def _at(document: Any, path: tuple[Any, ...]) -> Any:
    for part in path:
        document = document[part]
    return document


def _pointer(path: tuple[Any, ...]) -> str:
    return "".join(f"/{part}" for part in path)


def _is_own(path: str, spot: tuple[Any, ...]) -> bool:
    """Whether any JSON may stand there: a caller's own words, or an element that is answered in its place."""
    return path.startswith("/access/") and any(part in ("properties", "context", 0, 1) for part in spot[:-1])


CASES = [(path, spot) for path in PATHS for spot in _spots(BODIES[path][1]) if not _is_own(path, spot)]


@pytest.mark.parametrize(
    ("path", "spot"), CASES, ids=lambda value: _pointer(value) if isinstance(value, tuple) else value
)
def test_a_value_of_another_type_is_named_by_its_pointer(path: str, spot: tuple[Any, ...]) -> None:
    _, body, model = BODIES[path]
    wrong: Any = {"deep": {"deeper": [{"deepest": SECRET}]}}
    wrong = [wrong] if isinstance(_at(body, spot), dict) else wrong
    with pytest.raises(ProblemError) as raised:
        parse_body(json.dumps(_replaced(body, spot, wrong)).encode(), model)
    problem = raised.value.problem
    assert problem.status == 400
    pointers = [error.pointer for error in problem.errors or []]
    assert any(pointer == _pointer(spot) or pointer.startswith(_pointer(spot) + "/") for pointer in pointers), pointers
    assert SECRET not in problem.model_dump_json()


@pytest.mark.parametrize("path", STRICT)
def test_a_field_that_nobody_declared_is_named(callers: dict[str, Caller], path: str) -> None:
    body = {**BODIES[path][1], "a/b~c": SECRET}
    reply = send(callers, path, json.dumps(body).encode())
    assert [error["pointer"] for error in reply.json["errors"]] == ["/a~1b~0c"]


def test_an_unknown_action_is_named(callers: dict[str, Caller]) -> None:
    body = {**CAPABILITY, "action": "model_theft"}
    reply = send(callers, "/v1/capabilities", json.dumps(body).encode())
    assert [error["pointer"] for error in reply.json["errors"]] == ["/action"]
    assert "model_theft" not in reply.body.decode()


def test_every_missing_field_is_named(callers: dict[str, Caller]) -> None:
    reply = send(callers, "/v1/rounds", b"{}")
    assert [error["pointer"] for error in reply.json["errors"]] == [
        "/id",
        "/model",
        "/model_digest",
        "/members",
        "/duration_seconds",
    ]


def test_a_thousand_wrong_fields_make_a_short_problem(callers: dict[str, Caller]) -> None:
    body = {**ROUND, "members": [0] * 1000}
    reply = send(callers, "/v1/rounds", json.dumps(body).encode())
    assert len(reply.json["errors"]) == 32
    assert len(reply.body) < 10_000


@pytest.mark.parametrize(
    ("added", "fits"),
    [
        ({"x": "y" * 1025}, False),
        ({"x": {"y": [[[[1]]]]}}, False),
        ({"x": ["y"] * 65}, False),
        ({f"x{number}": "y" * 1024 for number in range(17)}, False),
        ({"x" * 129: 1}, False),
        ({f"x{number}": 1 for number in range(33)}, False),
        ({"x": 2**60}, False),
        ({f"x{number}": "y" for number in range(32)}, True),
        ({"x": {"y": [1, {"z": None}]}}, True),
    ],
)
def test_what_a_caller_adds_is_small(callers: dict[str, Caller], added: dict[str, Any], fits: bool) -> None:
    body = {**EVALUATION, "context": added}
    reply = send(callers, "/access/v1/evaluation", json.dumps(body).encode())
    assert reply.status == (200 if fits else 400), reply.body


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(document=JSON, path=st.sampled_from(PATHS))
def test_no_json_makes_the_reader_fail(document: Any, path: str) -> None:
    try:
        parse_body(json.dumps(document).encode(), BODIES[path][2])
    except ProblemError as error:
        assert error.problem.status == 400
    else:
        assert path == "/access/v1/evaluations", "only there everything may be left out"
        assert isinstance(document, dict)


@settings(max_examples=200, deadline=None)
@given(raw=st.binary(max_size=200), path=st.sampled_from(PATHS))
def test_no_bytes_make_the_reader_fail(raw: bytes, path: str) -> None:
    try:
        parse_body(raw, BODIES[path][2])
    except ProblemError:
        return
    assert path == "/access/v1/evaluations", "only there everything may be left out"
    assert isinstance(json.loads(raw), dict)
