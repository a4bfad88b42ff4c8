"""A small, real identity provider: discovery and keys over HTTP on loopback, tokens signed by joserfc."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from joserfc import jwt
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

AUDIENCE = "ztfm"


def rsa_key(kid: str = "rsa-1", bits: int = 2048) -> RSAKey:
    return RSAKey.generate_key(bits, {"kid": kid, "use": "sig", "alg": "RS256"})


def ec_key(kid: str = "ec-1") -> ECKey:
    return ECKey.generate_key("P-256", {"kid": kid, "use": "sig", "alg": "ES256"})


def okp_key(kid: str = "okp-1") -> OKPKey:
    return OKPKey.generate_key("Ed25519", {"kid": kid, "use": "sig", "alg": "EdDSA"})


ALGORITHM = {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA"}


@dataclass
class Issuer:
    """What the provider says, and how often it was asked."""

    url: str = ""
    keys: list[Key] = field(default_factory=lambda: [rsa_key(), ec_key(), okp_key()])
    asked: int = 0
    delay: float = 0.0
    status: int = 200
    jwks: Any = None
    metadata: dict[str, Any] = field(default_factory=dict)

    def published(self) -> Any:
        return self.jwks if self.jwks is not None else {"keys": [key.as_dict(private=False) for key in self.keys]}

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = int(time.time())
        stated = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "248289761001",
            "iat": now,
            "exp": now + 300,
            "groups": ["federation-operators"],
            **changes,
        }
        return {name: value for name, value in stated.items() if value is not None}

    def token(self, key: Key | None = None, header: dict[str, Any] | None = None, **changes: Any) -> str:
        """Return a token; claims and header fields that are none are left out."""
        signing = key or self.keys[0]
        stated = {"alg": ALGORITHM[signing.key_type], "kid": signing.kid, **(header or {})}
        shown = {name: value for name, value in stated.items() if value is not None}
        return jwt.encode(shown, self.claims(**changes), signing, algorithms=[shown["alg"]])

    async def _metadata(self, _request: web.Request) -> web.Response:
        stated = {"issuer": self.url, "jwks_uri": f"{self.url}/keys", **self.metadata}
        return web.json_response(stated, status=self.status)

    async def _keys(self, _request: web.Request) -> web.Response:
        self.asked += 1
        await asyncio.sleep(self.delay)
        if isinstance(self.jwks, bytes):
            return web.Response(body=self.jwks, status=self.status)
        return web.json_response(self.published(), status=self.status)


@contextmanager
def serving_issuer(port: int = 0, issuer: Issuer | None = None) -> Iterator[Issuer]:
    """Run a provider on a thread of its own."""
    found = issuer or Issuer()
    loop = asyncio.new_event_loop()
    started, stop = threading.Event(), asyncio.Event()

    async def serve() -> None:
        app = web.Application()
        app.router.add_get("/.well-known/openid-configuration", found._metadata)
        app.router.add_get("/keys", found._keys)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        started.set()
        await stop.wait()
        await runner.cleanup()

    def work() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=work, name="issuer")
    thread.start()
    try:
        started.wait(10)
        yield found
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
