"""What an attacker tries at the proxy: nothing of it reaches the model, or reaches it as something else."""

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web

from adapters.gateway.proxy import KServe, Limits, OpenAi, Plain, Served
from adapters.gateway.proxy.headers import passable
from controlplane.jose.keys import DeviceKey
from tests.adapters.gateway.proxy.conftest import CHAT, PROMPT, Bench, Model, Stream, modelling, proxying, read_whole

BODY = json.dumps(PROMPT).encode()


async def status_of(stream: Stream) -> int:
    stream.close()
    return stream.status


async def test_the_capability_and_its_proof_never_reach_the_model(bench: Bench) -> None:
    forged = [
        ("Cookie", "session=1"),
        ("Proxy-Authorization", "Basic eDp5"),
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Api-Key", "of the client"),
        ("Ztfm-Subject", "somebody-else"),
        ("ZTFM_SUBJECT", "somebody-else"),
        ("X-Http-Method-Override", "DELETE"),
        ("Connection", "close, Ztfm-Decision"),
        ("Te", "trailers"),
        ("X-Request-Id", "r-1"),
    ]
    assert (await bench.call(PROMPT, headers=forged)).status == 200
    names = {name for name, _value in bench.model.seen[-1][2]}
    told = {name for name in names if name.startswith("ztfm-")}
    assert names - told == {"host", "content-length", "content-type", "accept-encoding", "x-request-id"}
    assert bench.model.header("ztfm-subject") == [f"dev-{bench.device.thumbprint}"]
    assert bench.model.header("ztfm-resource") == ["intents"]
    sent = str(bench.model.seen[-1])
    assert "DPoP" not in sent
    assert "eyJ" not in sent


@pytest.mark.parametrize("name", ["Authorization", "DPoP", "Cookie", "Transfer-Encoding", "Ztfm-Subject", "a_b", ""])
def test_no_configuration_passes_on_what_is_never_passed_on(name: str) -> None:
    with pytest.raises(ValueError, match="never passed on"):
        passable([name])


async def test_without_a_capability_nothing_is_read_and_nothing_reserved(bench: Bench) -> None:
    stream = await bench.send("POST", CHAT, [("Content-Type", "application/json")], BODY)
    assert await status_of(stream) == 401
    other = bench.mint(DeviceKey.generate())
    assert (await bench.call(PROMPT, token=other)).status == 401
    assert (bench.model.seen, bench.book.requests) == ([], 0)


@pytest.mark.parametrize("named", ["other", "INTENTS", "intents ", ["intents"], {"a": 1}, 17, None, True])
async def test_a_body_cannot_ask_another_model_than_the_capability_is_for(bench: Bench, named: Any) -> None:
    assert (await bench.call({**PROMPT, "model": named})).status == 403
    assert bench.model.seen == []


async def test_one_of_several_models_is_asked_by_its_own_path_and_capability() -> None:
    models = [Served("intents", "org/Intents-7B"), Served("encoder")]
    async with proxying(models=models) as bench:
        assert (await bench.call(PROMPT, "/intents" + CHAT)).status == 200
        assert bench.model.asked["model"] == "org/Intents-7B"
        assert (await bench.call({**PROMPT, "model": "encoder"}, "/encoder" + CHAT)).status == 403
        assert (await bench.call({**PROMPT, "model": "encoder"}, "/intents" + CHAT)).status == 403
        assert (await bench.call(PROMPT, CHAT)).status == 404
        assert len(bench.model.seen) == 1


@pytest.mark.parametrize(
    "raw",
    [
        b'{"model":"intents","model":"other","messages":[{"role":"user","content":"x"}]}',
        b'{"model":"intents","messages":[{"role":"user","content":"x","content":"forbidden"}]}',
        b'{"model":"intents","messages":[{"role":"user","content":"\\ud800"}]}',
        b'\xef\xbb\xbf{"model":"intents"}',
        '{"model":"intents","messages":[{"role":"user","content":"x"}]}'.encode("utf-16"),
        b'{"model":"intents","temperature":NaN,"messages":[{"role":"user","content":"x"}]}',
        b'{"model":"intents","messages":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"model":"intents","messages":[{"role":"user","content":"x"}]} {}',
        b'{"model":"intents","seed":' + b"9" * 5000 + b"}",
        b"[]",
        b"",
        b"\x00",
    ],
)
async def test_a_body_that_two_servers_may_read_differently_is_refused(bench: Bench, raw: bytes) -> None:
    assert (await bench.call(raw=raw)).status == 400
    assert bench.model.seen == []


async def test_what_the_model_gets_is_what_was_looked_at(bench: Bench) -> None:
    raw = b'{"model":"\\u0069ntents","messages":[{"role":"user","content":"turn \\u006fn"}], "n" : 1}'
    assert (await bench.call(raw=raw)).status == 200
    assert b"\\u" not in bench.model.seen[-1][3]
    assert bench.judge.seen[0] == ("prompt", ("turn on",))


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"n_predict": 100_000}, 400),
        ({"extra_body": {"max_tokens": 9}}, 400),
        ({"max_tokens": 0}, 400),
        ({"max_tokens": -1}, 400),
        ({"max_tokens": True}, 400),
        ({"max_tokens": "9999"}, 400),
        ({"max_tokens": 1e9}, 400),
        ({"n": 1000}, 400),
        ({"n": 0}, 400),
        ({"n": "8"}, 400),
        ({"stream": "yes"}, 400),
        ({"stream_options": {"include_usage": False, "other": 1}}, 400),
        ({"stream_options": []}, 400),
        ({"messages": []}, 400),
        ({"messages": "turn on"}, 400),
        ({"messages": [{"role": "root", "content": "x"}]}, 400),
        ({"messages": [{"role": "user", "content": [17]}]}, 415),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://10.0.0.1/"}}]}
                ]
            },
            415,
        ),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AA=="}}]}]}, 415),
    ],
)
async def test_what_would_go_around_a_limit_is_refused(bench: Bench, changes: dict[str, Any], status: int) -> None:
    assert (await bench.call({**PROMPT, **changes})).status == status
    assert bench.model.seen == []


@pytest.mark.parametrize("asked", [{}, {"max_tokens": 10**6}, {"max_completion_tokens": 10**6}, {"n": 4}])
async def test_an_answer_is_never_longer_than_the_capability_allows(bench: Bench, asked: dict[str, Any]) -> None:
    await bench.call({**PROMPT, **asked}, token=bench.mint(max_output_tokens=64))
    sent = bench.model.asked
    limits = [sent[name] for name in ("max_tokens", "max_completion_tokens") if name in sent]
    assert len(limits) == 1
    assert limits[0] * asked.get("n", 1) == 64


async def test_a_prompt_hidden_in_a_tool_or_a_part_is_looked_at(bench: Bench) -> None:
    hidden = [
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"properties": {"forbidden": {}}}}}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "forbidden"}]}]},
        {"messages": [{"role": "assistant", "tool_calls": [{"function": {"arguments": "forbidden"}}]}]},
        {"response_format": {"type": "json_schema", "json_schema": {"description": "forbidden"}}},
        {"stop": ["forbidden"]},
    ]
    for one in hidden:
        assert (await bench.call({**PROMPT, **one})).status == 403, one
    assert bench.model.seen == []


async def test_a_picture_is_taken_only_where_that_is_said_and_never_by_address() -> None:
    def with_picture(url: str) -> dict[str, Any]:
        return {**PROMPT, "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]}

    async with proxying(OpenAi(media=True)) as bench:
        assert (await bench.call(with_picture("data:image/png;base64,AAAA"))).status == 200
        for url in ("http://169.254.169.254/", "file:///etc/passwd", "data:text/html,x"):
            assert (await bench.call(with_picture(url))).status == 415
        assert len(bench.model.seen) == 1


@pytest.mark.parametrize(
    ("path", "changes"),
    [
        ("/v1/completions", {"prompt": [1, 2, 3]}),
        ("/v1/completions", {"prompt": [[1], [2]]}),
        ("/v1/completions", {"prompt": ["x"] * 9}),
        ("/v1/completions", {"prompt": "x", "best_of": 100}),
        ("/v1/embeddings", {"input": [1, 2]}),
        ("/v1/embeddings", {"input": []}),
    ],
)
async def test_tokens_that_nobody_can_look_into_are_refused(bench: Bench, path: str, changes: dict[str, Any]) -> None:
    assert (await bench.call(changes, path)).status == 400
    assert bench.model.seen == []


@pytest.mark.parametrize(
    "change",
    [
        lambda one: one | {"parameters": {"shared_memory_region": "other"}},
        lambda one: one | {"parameters": {"binary_data_output": True}},
        lambda one: one | {"parameters": {"sequence_id": 7}},
        lambda one: one | {"parameters": []},
        lambda one: one | {"inputs": []},
        lambda one: one | {"inputs": [one["inputs"][0] | {"parameters": {"shared_memory_region": "x"}}]},
        lambda one: one | {"inputs": [{"name": "x", "shape": [1], "datatype": "FP32"}]},
        lambda one: one | {"inputs": [one["inputs"][0] | {"datatype": "FP32"}]},
        lambda one: one | {"outputs": [{"name": "y", "parameters": {"shared_memory_region": "x"}}]},
        lambda one: one | {"outputs": {"name": "y"}},
    ],
)
async def test_an_inference_cannot_reach_for_memory_or_for_another_s_sequence(change: Any) -> None:
    asked = {"inputs": [{"name": "x", "shape": [1], "datatype": "BYTES", "data": ["on"]}]}
    async with proxying(KServe()) as bench:
        path = "/v2/models/intents/infer"
        assert (await bench.call(change(asked), path)).status == 400
        assert (
            await bench.call(None, path, raw=BODY, headers=[("Inference-Header-Content-Length", "9")])
        ).status == 400
        assert bench.model.seen == []
        assert (await bench.call(asked, path)).status == 200
        assert not bench.model.header("inference-header-content-length")


CHUNKED = f"{len(BODY):x}\r\n".encode() + BODY + b"\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    "head",
    [
        "Content-Length: {n}\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: {n}",
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: xchunked\r\nContent-Length: {n}",
        "Transfer-Encoding:\x0bchunked\r\nContent-Length: {n}",
        "Transfer_Encoding: chunked\r\nContent-Length: {n}\r\nContent-Length: 0",
        "Content-Length: 3\r\nContent-Length: {n}",
        "Content-Length: {n}\r\nContent-Length: 3",
        "Content-Length: {n}\r\nContent-Length: {n}",
        "Content-Length: +{n}",
        "Content-Length: {n}, {n}",
        "Content-Length: 0x{n:x}",
        "Content-Length: -{n}",
        "Content-Length : {n}",
        "Content-Length: {n}\r\nUpgrade: websocket\r\nConnection: upgrade",
        "Content-Length: {n}\r\nUpgrade: h2c\r\nConnection: upgrade, http2-settings",
        "Content-Length: {n}\r\nContent-Encoding: gzip",
        "Content-Length: {n}\r\nExpect: 200-maybe",
        "Content-Length: {n}\r\nX-Nothing\x00: x",
        "Content-Length: 99999999999999999999",
        "Content-Length: 2000000",
    ],
)
async def test_a_request_of_which_two_servers_may_see_different_ends_is_refused(bench: Bench, head: str) -> None:
    shown = "\r\n".join(f"{name}: {value}" for name, value in bench.shown(bench.mint()))
    body = CHUNKED if head.startswith("Transfer-Encoding") and "chunked" in head else BODY
    begin = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\n{shown}\r\n{head.format(n=len(BODY))}\r\n\r\n".encode()
    stream = await bench.raw(begin + body + b"POST /admin HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
    assert 400 <= stream.status < 500
    stream.close()
    assert bench.model.seen == []


async def test_the_same_request_without_any_of_that_is_served(bench: Bench) -> None:
    shown = "\r\n".join(f"{name}: {value}" for name, value in bench.shown(bench.mint()))
    head = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\n{shown}\r\nContent-Length: {len(BODY)}\r\n\r\n"
    assert (await bench.raw(head.encode() + BODY)).status == 200


async def test_a_client_that_could_not_tell_a_cut_answer_from_a_whole_one_gets_none(bench: Bench) -> None:
    shown = "\r\n".join(f"{name}: {value}" for name, value in bench.shown(bench.mint()))
    stream = await bench.raw(f"POST {CHAT} HTTP/1.0\r\nHost: x\r\n{shown}\r\nContent-Length: 2\r\n\r\n{{}}".encode())
    assert stream.status == 505
    assert bench.model.seen == []


async def test_what_follows_a_request_is_a_request_of_its_own(bench: Bench) -> None:
    token = bench.mint()
    shown = "\r\n".join(f"{name}: {value}" for name, value in bench.shown(token))
    first = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\n{shown}\r\nContent-Length: {len(BODY)}\r\n\r\n".encode() + BODY
    stream = await bench.raw(first + f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}".encode())
    assert stream.status == 200
    await stream.reader.readexactly(int(stream.headers["content-length"]))
    assert (await stream.reader.readline()).startswith(b"HTTP/1.1 401")
    assert len(bench.model.seen) == 1


@pytest.mark.parametrize(
    "target", ["/v1//chat/completions", "/v1/./chat/completions", "/x/../v1/chat/completions", "/v1/chat%2Fcompletions"]
)
async def test_a_path_in_another_spelling_reaches_nothing(bench: Bench, target: str) -> None:
    assert (await bench.call(PROMPT, target)).status == 400
    assert (await bench.call(PROMPT, "/v1/files")).status == 404
    assert bench.model.seen == []


async def test_a_query_is_no_way_around(bench: Bench) -> None:
    assert (await bench.call(PROMPT, query="?model=other")).status == 400
    async with proxying(Plain(["POST /predict"])) as plain:
        assert (await plain.call({"text": "on"}, "/predict", query="?q=forb%69dden")).status == 403
        assert (await plain.call({"text": "on"}, "/predict", query="?q=on")).status == 200
        assert [path for _method, path, *_ in plain.model.seen] == ["/predict?q=on"]


async def test_a_capability_with_a_limit_that_nobody_here_keeps_is_refused(bench: Bench) -> None:
    assert (await bench.call(PROMPT, token=bench.mint(epsilon=1.0))).status == 403
    assert (await bench.call(PROMPT, token=bench.mint(max_norm=1.0))).status == 403
    assert (bench.model.seen, bench.book.requests) == ([], 0)


@pytest.mark.parametrize("detail", ["label_only", None])
async def test_a_capability_for_labels_shows_nothing_more(bench: Bench, detail: str | None) -> None:
    reply = await bench.call(PROMPT, token=bench.mint(detail=detail))
    assert reply.status == 502, "nobody here can take all but the label out, so nothing is shown"
    assert b"it is on" not in reply.body


async def test_a_body_that_never_comes_holds_nothing_up() -> None:
    async with proxying(limits=Limits(body_seconds=0.2)) as bench:
        token = bench.mint()
        head = [*bench.shown(token), ("Content-Length", "500")]
        stream = await bench.send("POST", CHAT, head, b"{", sized=False)
        assert stream.status == 408
        stream.close()
        assert bench.book.requests == 0


async def test_connections_that_say_nothing_are_closed_and_counted() -> None:
    async with proxying(limits=Limits(idle_seconds=0.2, connections=3)) as bench:
        silent = [await asyncio.open_connection("127.0.0.1", bench.port) for _ in range(3)]
        silent[0][1].write(b"POST / HTTP/1.1\r\nX-Slow: ")
        reader, writer = await asyncio.open_connection("127.0.0.1", bench.port)
        assert await reader.read() == b"", "one too many"
        async with asyncio.timeout(5):
            for one, _ in silent:
                await one.read()
        assert (await bench.call(PROMPT)).status == 200
        for _, one in [*silent, (reader, writer)]:
            one.close()
            await asyncio.gather(one.wait_closed(), return_exceptions=True)


async def test_whoever_sends_a_large_body_without_a_capability_is_told_so(bench: Bench) -> None:
    head = [("Content-Type", "application/json"), ("Content-Length", str(2**20))]
    stream = await bench.send("POST", CHAT, head, b"x" * 2**20, sized=False)
    assert (await read_whole(stream)).status == 401


async def test_one_subject_cannot_take_all_the_room() -> None:
    async with proxying(limits=Limits(requests_per_subject=2)) as bench:
        go_on = asyncio.Event()

        async def wait(_request: web.Request) -> web.StreamResponse:
            await go_on.wait()
            return web.json_response({})

        bench.model.answer = wait
        running = [asyncio.create_task(bench.call(PROMPT)) for _ in range(2)]
        async with asyncio.timeout(5):
            while bench.model.running < 2:  # noqa: ASYNC110 - it offers nothing to wait for
                await asyncio.sleep(0.01)
        assert (await bench.call(PROMPT)).status == 429
        go_on.set()
        assert [reply.status for reply in await asyncio.gather(*running)] == [200, 200]
        assert (await bench.call(PROMPT)).status == 200


async def test_a_client_that_expects_a_word_before_its_body_gets_it_once_it_is_verified(bench: Bench) -> None:
    token = bench.mint()
    head = [*bench.shown(token), ("Expect", "100-continue"), ("Content-Length", str(len(BODY)))]
    stream = await bench.send("POST", CHAT, head, sized=False)
    assert stream.status == 100
    stream.writer.write(BODY)
    assert (await stream.reader.readline()).startswith(b"HTTP/1.1 200")
    refused = await bench.send("POST", CHAT, [("Expect", "100-continue"), ("Content-Length", "9")], sized=False)
    assert (await read_whole(refused)).status == 401


@pytest.fixture
async def other() -> Any:
    async with modelling() as found:
        yield found


async def test_a_redirect_of_the_model_is_not_followed(bench: Bench, other: Model) -> None:
    async def elsewhere(_request: web.Request) -> web.StreamResponse:
        raise web.HTTPTemporaryRedirect(other.url + "/steal")

    bench.model.answer = elsewhere
    reply = await bench.call(PROMPT)
    assert (reply.status, other.seen) == (502, [])
    assert "location" not in reply.headers
