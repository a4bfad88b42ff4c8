"""The same endpoint as an ASGI application: ``GATEWAY=keys/gateway uvicorn examples.guarded_asgi:app``."""

import json
import os
from pathlib import Path
from typing import Any

from adapters.web import EnforcementPoint, Rule
from adapters.web.asgi import Guarded, capability_of


async def infer(scope: Any, receive: Any, send: Any) -> None:
    """Answer as far as the caller's capability reaches. Any ASGI application stands here: Starlette, FastAPI, ..."""
    if scope["type"] == "lifespan":
        while (event := await receive())["type"] != "lifespan.shutdown":
            await send({"type": f"{event['type']}.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    admitted, body, is_more = capability_of(scope), b"", True
    while is_more:
        piece = await receive()
        body, is_more = body + piece.get("body", b""), piece.get("more_body", False)
    answer = {"intent": "light_on" if "light" in json.loads(body)["text"] else "unknown", "asked_by": admitted.subject}
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(answer).encode()})


def build_app(folder: Path, public_url: str = "http://127.0.0.1:8000") -> Guarded:
    """Return the guarded application of the gateway that was enrolled in ``folder``."""
    rules = [Rule("inference", "smart-home-intents", "/v1/infer", ("POST",))]
    return Guarded(infer, EnforcementPoint.open(folder, audience="gateway-1", public_url=public_url, rules=rules))


if "GATEWAY" in os.environ:
    app = build_app(Path(os.environ["GATEWAY"]))
