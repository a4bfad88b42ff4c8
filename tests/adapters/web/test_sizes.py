"""An aiohttp application's answer ends where the capability does, whatever kind of answer it is."""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from io import BytesIO
from pathlib import Path

import pytest
from aiohttp import web

from adapters.web import EnforcementPoint
from adapters.web.admission import Admitted
from adapters.web.aiohttp import guard
from controlplane.jose.keys import DeviceKey
from tests.adapters.web.conftest import AUDIENCE, DIGEST, PUBLIC_URL, RULES, Endpoint, publishing
from tests.clocks import Clock

CONTENT = b"w" * 500


async def pieces() -> AsyncIterator[bytes]:
    yield CONTENT


def answers(folder: Path) -> dict[str, Callable[[], web.StreamResponse]]:
    (folder / "weights").write_bytes(CONTENT)
    return {
        "file": lambda: web.FileResponse(folder / "weights"),
        "open file": lambda: web.Response(body=BytesIO(CONTENT)),
        "bytes": lambda: web.Response(body=CONTENT),
        "pieces": lambda: web.Response(body=pieces()),
    }


@pytest.mark.parametrize(
    ("kind", "limit", "status"),
    [
        *((kind, 499, 403) for kind in ("file", "open file", "bytes")),
        *((kind, 500, 200) for kind in ("file", "open file", "bytes")),
        ("pieces", 500, 500),
    ],
)
async def test_what_is_larger_than_the_capability_reaches_is_not_sent(
    tmp_path: Path, kind: str, limit: int, status: int
) -> None:
    clock = Clock()
    async with publishing(clock) as issuer:
        point = EnforcementPoint(issuer.url, audience=AUDIENCE, public_url=PUBLIC_URL, clock=clock, rules=RULES)

        async def answer(_request: web.Request) -> web.StreamResponse:
            return answers(tmp_path)[kind]()

        app = web.Application()
        guard(app, point)
        app.router.add_get("/{path:.*}", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            port = runner.addresses[0][1]
            endpoint = Endpoint(port, DeviceKey.generate(), issuer, clock, point, list[Admitted](), Counter())
            limits = {"purpose": "serving", "model_digest": DIGEST, "max_bytes": limit}
            token = issuer.mint(endpoint.device, "model_access", "encoder", **limits)
            path = f"/models/encoder/{DIGEST}"
            proof = endpoint.proof(token, "GET", path)
            shown = [("Authorization", f"DPoP {token}"), ("DPoP", proof), ("Range", "bytes=0-9")]
            reply = await endpoint.send("GET", path, shown if kind == "file" else shown[:2])
        finally:
            await runner.cleanup()
    assert reply.status == (206 if (kind, status) == ("file", 200) else status)
    assert (b"www" in reply.body) == (status == 200)
