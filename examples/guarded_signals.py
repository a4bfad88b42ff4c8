"""A guarded model that reports how it is used: ``python -m examples.guarded_signals keys/gateway http://127.0.0.1:8080``."""

import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from adapters.signals import PatternClassifier, Signals
from adapters.web import EnforcementPoint, Rule
from adapters.web.aiohttp import guard

KNOWN_WORDINGS = PatternClassifier()


def suspicion(text: str) -> float:
    """How much a prompt looks like an injection, in [0, 1]. Ask a model of your own here, beside the rules."""
    return max(KNOWN_WORDINGS(text), 0.9 if "override code" in text.casefold() else 0.0)


async def infer(request: web.Request) -> web.Response:
    """Answer. Replace this with your model."""
    asked = await request.json()
    return web.json_response({"intent": "light_on" if "light" in asked["text"] else "unknown"})


def build_app(folder: Path, public_url: str, **options: Any) -> web.Application:
    """Return the guarded application of the gateway that was enrolled in ``folder``, with options of its signals."""
    app = web.Application()
    rules = [Rule("inference", "smart-home-intents", "/v1/infer", ("POST",))]
    signals = Signals(classifier=suspicion, **options)
    point = EnforcementPoint.open(folder, audience="gateway-1", public_url=public_url, rules=rules, signals=signals)
    guard(app, point)
    app.router.add_post("/v1/infer", infer)
    return app


if __name__ == "__main__":
    at = urlsplit(sys.argv[2])
    web.run_app(build_app(Path(sys.argv[1]), sys.argv[2]), host=at.hostname, port=at.port)
