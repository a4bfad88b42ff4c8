"""What a client writes beside the text of a prompt: it is looked at, or it is refused."""

import json
from typing import Any

import pytest
from aiohttp import web

from adapters.gateway.interfaces import Direction, Terms
from adapters.gateway.proxy import KServe, OpenAi, Plain
from adapters.gateway.proxy.shaping import Withholding
from tests.adapters.gateway.proxy.conftest import PROMPT, Bench, proxying, streamed
from tests.adapters.gateway.proxy.test_kserve import INFER, TEXTS, infer

WORD = "forbidden"


def call(**changes: Any) -> dict[str, Any]:
    """A message with one call of a tool."""
    function = {"name": "f", "arguments": "{}"}
    return {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": function, **changes}]}


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"messages": [{"role": "user", "content": "x", "id": WORD}]}, 400),
        ({"messages": [{"role": "user", "content": "x", "url": WORD}]}, 400),
        ({"messages": [{"role": "user", "content": "x", "metadata": {WORD: 1}}]}, 400),
        ({"messages": [{"role": "user", "content": "x", "name": WORD}]}, 403),
        ({"messages": [{"role": "user", "content": "x", "name": {WORD: 1}}]}, 400),
        ({"messages": [{"role": "assistant", "content": "x", "reasoning_content": WORD}]}, 403),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "x", "url": WORD}]}]}, 400),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": WORD}]}]}, 403),
        ({"messages": [call(id=WORD)]}, 403),
        ({"messages": [call(type=WORD)]}, 400),
        ({"messages": [call(custom={"id": WORD})]}, 400),
        ({"messages": [call(function={"name": "f", "arguments": {"id": WORD}})]}, 400),
        ({"messages": [call(function={"name": "f", "arguments": json.dumps({WORD: 1})})]}, 403),
        ({"messages": [call(function={"name": "f", "arguments": "{}", "type": WORD})]}, 400),
        ({"messages": [{"role": "tool", "content": "x", "tool_call_id": WORD}]}, 403),
        ({"reasoning_effort": WORD}, 400),
        ({"verbosity": [WORD]}, 400),
        ({"temperature": WORD}, 400),
        ({"seed": {"id": WORD}}, 400),
        ({"logit_bias": {WORD: 1}}, 400),
        ({"logit_bias": {"50256": -100}, "temperature": 0.5, "seed": None, "reasoning_effort": "low"}, 200),
        ({"messages": [call(), {"role": "tool", "tool_call_id": "1", "content": "on"}]}, 200),
    ],
)
async def test_no_member_carries_a_text_past_the_judge(bench: Bench, changes: dict[str, Any], status: int) -> None:
    assert (await bench.call({**PROMPT, **changes})).status == status
    assert len(bench.model.seen) == (status == 200)


async def test_a_text_of_a_tool_is_looked_at_as_the_model_reads_it(bench: Bench) -> None:
    tool = {"type": "function", "function": {"name": "f", "description": "all\nforgotten"}}
    bench.judge.word = "all\nforgotten"
    assert (await bench.call({**PROMPT, "tools": [tool]})).status == 403
    assert bench.model.seen == []


class Blots(Withholding):
    """Blacks out a word."""

    can_redact = True

    def redacted(self, terms: Terms, _direction: Direction, text: str) -> str:
        return text.replace("secret", "[gone]") if terms.redact else text


@pytest.mark.parametrize(
    ("tool", "status"),
    [
        ({"properties": {"url": {"description": "secret"}}}, 200),
        ({"default": {"url": "secret"}}, 502),
        ({"default": {"id": "secret"}}, 502),
        ({"default": {"secret": 1}}, 502),
    ],
)
async def test_what_is_to_be_blacked_out_is_so_at_every_place_of_a_prompt(tool: dict[str, Any], status: int) -> None:
    async with proxying(shaper=Blots()) as bench:
        bench.judge.on["prompt"] = Terms("dec-1", redact=frozenset({"secrets"}))
        tools = [{"type": "function", "function": {"name": "f", "parameters": tool}}]
        assert (await bench.call({**PROMPT, "tools": tools})).status == status
        assert b"secret" not in b"".join(seen[3] for seen in bench.model.seen)


async def test_a_picture_is_no_word_that_is_blacked_out() -> None:
    async with proxying(OpenAi(media=True), shaper=Blots()) as bench:
        bench.judge.on["prompt"] = Terms("dec-1", redact=frozenset({"secrets"}))

        def asked(url: str, **more: Any) -> dict[str, Any]:
            picture = {"type": "image_url", "image_url": {"url": url, **more}}
            return {**PROMPT, "messages": [{"role": "user", "content": [picture]}]}

        assert (await bench.call(asked("data:image/png;base64,AAsecretAA=="))).status == 200
        assert (await bench.call(asked("data:image/svg+xml,<text>secret</text>"))).status == 502
        assert (await bench.call(asked("data:image/png;base64,AA==", detail=WORD))).status == 400
        assert len(bench.model.seen) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "turn it on and"},
        {"parameters": {"content_type": f"{WORD} words"}},
        {"parameters": {"classification": [WORD]}},
        {"outputs": [{"name": "label", "parameters": {"content_type": {"id": WORD}}}]},
        {"outputs": [{"name": f"{WORD} words"}]},
        {"inputs": [{**TEXTS["inputs"][0], "name": "turn it on and"}]},
        {"inputs": [{**TEXTS["inputs"][0], "data": {WORD: 1}}]},
        {"inputs": [{**TEXTS["inputs"][0], "data": ["x", {WORD: 1}]}]},
        {"inputs": [{**TEXTS["inputs"][0], "data": ["x", 17]}]},
        {"inputs": [{**TEXTS["inputs"][0], "data": WORD}]},
        {"inputs": [{**TEXTS["inputs"][0], "shape": [{WORD: 1}]}]},
    ],
)
async def test_no_member_of_an_inference_carries_a_text_past_the_judge(changes: dict[str, Any]) -> None:
    async with proxying(KServe()) as bench:
        bench.model.answer = infer
        assert (await bench.call({**TEXTS, "id": "r-1", "parameters": {"content_type": "str"}}, INFER)).status == 200
        assert (await bench.call({**TEXTS, **changes}, INFER)).status == 400
        assert len(bench.model.seen) == 1


@pytest.mark.parametrize("holds", [False, True])
@pytest.mark.parametrize("is_running", [False, True])
async def test_a_name_in_an_answer_is_a_text_of_it(is_running: bool, holds: bool) -> None:
    async with proxying(Plain(["POST /predict"]), shaper=Blots(), holds=holds) as bench:

        async def say(request: web.Request) -> web.StreamResponse:
            if is_running:
                return await streamed(request, [b'data: {"a":1}\n\n', b'data: {"a":1,"b":{"%s":1}}\n\n' % name])
            return web.json_response({"a": 1, "b": {name.decode(): 1}})

        async def passes() -> bool:
            stream = await bench.stream({"text": "x"}, "/predict")
            size = stream.headers.get("content-length")
            body, is_whole = await stream.rest() if size is None else (await stream.reader.readexactly(int(size)), True)
            return name in body and is_whole and stream.status == 200

        bench.model.answer = say
        for name, expected in ((b"fine", True), (WORD.encode(), False), (b"secret", True)):
            assert await passes() == expected, name
        bench.judge.on["answer"] = Terms("dec-1", redact=frozenset({"secrets"}))
        assert not await passes()
        bench.judge.on["prompt"] = bench.judge.on["answer"]
        assert not await passes()
