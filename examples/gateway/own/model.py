"""A model server that says what it was asked, word by word: ``python -m examples.gateway.own.model 8000``."""

import asyncio
import json
import sys
from collections.abc import Iterator
from typing import Any

from aiohttp import web


async def chat(request: web.Request) -> web.StreamResponse:
    """Answer a chat, in events where the client wants them. Replace this with your model."""
    asked = await request.json()
    words = asked["messages"][-1]["content"].split()[: asked["max_tokens"]]
    usage = {"prompt_tokens": len(words), "completion_tokens": len(words)}
    if not asked.get("stream"):
        message = {"role": "assistant", "content": " ".join(words)}
        return web.json_response(
            {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}
        )
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await answer.prepare(request)
    for document in events(words, usage):
        await answer.write(f"data: {json.dumps(document)}\n\n".encode())
        await asyncio.sleep(0.02)
    await answer.write(b"data: [DONE]\n\n")
    return answer


def events(words: list[str], usage: dict[str, int]) -> Iterator[dict[str, Any]]:
    """Give out what a streamed answer consists of."""
    for word in words:
        yield {"choices": [{"index": 0, "delta": {"content": f"{word} "}, "finish_reason": None}]}
    yield {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    yield {"choices": [], "usage": usage}


def build_app() -> web.Application:
    """Return the model server."""
    app = web.Application()
    app.router.add_post("/v1/chat/completions", chat)
    return app


if __name__ == "__main__":
    web.run_app(build_app(), host="127.0.0.1", port=int(sys.argv[1]))
