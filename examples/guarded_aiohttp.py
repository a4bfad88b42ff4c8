"""A guarded model endpoint under aiohttp: ``python -m examples.guarded_aiohttp keys/gateway http://127.0.0.1:8080``."""

import sys
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web

from adapters.web import EnforcementPoint, Rule
from adapters.web.aiohttp import capability_of, guard


async def infer(request: web.Request) -> web.Response:
    """Answer as far as the caller's capability reaches. Replace this with your model."""
    admitted = capability_of(request)
    asked = await request.json()
    answer: dict[str, object] = {
        "intent": "light_on" if "light" in asked["text"] else "unknown",
        "asked_by": admitted.subject,
    }
    if admitted.shows_detail:
        answer["likelihood"] = 0.97
    return web.json_response(answer)


def build_app(folder: Path, public_url: str) -> web.Application:
    """Return the guarded application of the gateway that was enrolled in ``folder``."""
    app = web.Application()
    rules = [Rule("inference", "smart-home-intents", "/v1/infer", ("POST",))]
    guard(app, EnforcementPoint.open(folder, audience="gateway-1", public_url=public_url, rules=rules))
    app.router.add_post("/v1/infer", infer)
    return app


if __name__ == "__main__":
    at = urlsplit(sys.argv[2])
    web.run_app(build_app(Path(sys.argv[1]), sys.argv[2]), host=at.hostname, port=at.port)
