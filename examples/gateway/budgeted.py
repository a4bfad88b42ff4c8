"""A guarded model endpoint that spends of leased budgets: ``python -m examples.gateway.budgeted keys/gateway URL``."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web

from adapters.gateway.interfaces import Exhausted
from adapters.gateway.leasing import Leasing
from adapters.web import EnforcementPoint, Rule
from adapters.web.aiohttp import capability_of, guard

LONGEST_ANSWER = 64
"""Tokens."""

BUDGETS: web.AppKey[Leasing] = web.AppKey("budgets", Leasing)


async def infer(request: web.Request) -> web.Response:
    """Take the tokens first, answer, and settle what was used, however it ends."""
    asked, budgets = await request.json(), request.app[BUDGETS]
    prompt = str(asked["text"]).split()
    most = min(LONGEST_ANSWER, capability_of(request).limits.max_output_tokens or LONGEST_ANSWER)
    taken = await budgets.reserve(capability_of(request), len(prompt), most)
    if isinstance(taken, Exhausted):
        status = 503 if taken.of == "unknown" else 429
        return web.json_response(
            {"short": taken.of}, status=status, headers={"Retry-After": f"{taken.retry_after:.0f}"}
        )
    # What is forwarded and breaks off may have been read: it counts whole unless more is known.
    used = taken.tokens
    try:
        answer = think(prompt)[:most]
        used = len(prompt) + len(answer)
        return web.json_response({"answer": " ".join(answer), "tokens": used})
    finally:
        await budgets.settle(taken, used)


def think(prompt: list[str]) -> list[str]:
    """Replace this with your model: words in, words out."""
    return ["light", "on"] if "light" in prompt else ["unknown"]


def build_app(folder: Path, public_url: str) -> web.Application:
    """Return the guarded application of the gateway that was enrolled in ``folder``."""

    async def spending(running: web.Application) -> AsyncIterator[None]:
        async with Leasing.open(folder) as budgets:
            running[BUDGETS] = budgets
            yield

    app = web.Application()
    app.cleanup_ctx.append(spending)
    rules = [Rule("inference", "smart-home-intents", "/v1/infer", ("POST",))]
    guard(app, EnforcementPoint.open(folder, audience="gateway-1", public_url=public_url, rules=rules))
    app.router.add_post("/v1/infer", infer)
    return app


if __name__ == "__main__":
    at = urlsplit(sys.argv[2])
    web.run_app(build_app(Path(sys.argv[1]), sys.argv[2]), host=at.hostname, port=at.port)
