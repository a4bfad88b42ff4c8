"""The API that OpenAI made common, through the proxy, to a real upstream."""

import json

from tests.adapters.gateway.proxy.conftest import CHAT, DONE, PROMPT, USAGE, Bench, chunk, streamed


async def test_a_chat_goes_to_the_model_and_its_answer_comes_back(bench: Bench) -> None:
    reply = await bench.call(PROMPT)
    assert (reply.status, reply.json["choices"][0]["message"]["content"]) == (200, "it is on")
    [(method, path, _headers, _body)] = bench.model.seen
    assert (method, path) == ("POST", CHAT)
    assert bench.model.asked["messages"] == PROMPT["messages"]
    assert bench.book.settled == [8]
    assert bench.judge.seen == [("prompt", ("turn on the light",)), ("answer", ("it is on",))]


async def test_a_stream_comes_event_by_event(bench: Bench) -> None:
    pieces = [chunk("it "), chunk("is "), chunk("on"), chunk(None, finish="stop"), USAGE, DONE]
    bench.model.answer = lambda request: streamed(request, pieces)
    stream = await bench.stream({**PROMPT, "stream": True})
    assert stream.headers["content-type"] == "text/event-stream"
    body, is_whole = await stream.rest()
    assert is_whole
    events = [line.removeprefix("data: ") for line in body.decode().split("\n\n") if line]
    assert events[-1] == "[DONE]"
    deltas = [json.loads(event)["choices"][0]["delta"].get("content", "") for event in events[:-1]]
    assert "".join(deltas) == "it is on"
    assert bench.book.settled == [8]
    assert bench.model.asked["stream_options"] == {"include_usage": True}
