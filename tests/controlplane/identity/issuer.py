"""A small, real identity provider: discovery, keys and codes over HTTP on loopback, tokens signed by joserfc."""

import asyncio
import hashlib
import secrets
import threading
import time
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from typing import Any
from urllib.parse import unquote_plus, urlencode

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
class Client:
    """Somebody whom the provider signs people in for.

    Attributes:
        id: of the client.
        redirects: addresses that it may name.
        secret: none of a public client.
        groups: of whoever consents.
        changes: claims of the tokens that are others than asked for.
        answer: given instead of a token.
        codes: that were given and not exchanged, with what was asked for.
        exchanged: how often a code was brought.
    """

    id: str
    redirects: set[str] = field(default_factory=set)
    secret: str | None = None
    groups: list[str] = field(default_factory=lambda: ["federation-operators"])
    changes: dict[str, Any] = field(default_factory=dict)
    answer: web.Response | None = None
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    exchanged: int = 0

    def asks_rightly(self, asked: Mapping[str, str]) -> bool:
        """Whether this is a request of the client for a code, with PKCE."""
        wanted = {"response_type": "code", "client_id": self.id, "code_challenge_method": "S256"}
        is_whole = all(len(asked.get(name, "")) >= 43 for name in ("state", "nonce", "code_challenge"))
        is_known = asked.get("redirect_uri") in self.redirects and asked.get("scope") == "openid"
        return is_whole and is_known and all(asked.get(name) == value for name, value in wanted.items())

    def gave(self, form: Mapping[str, str], authorization: str) -> dict[str, str] | None:
        """Return what was asked for when a code was given, to whoever asked for it, once."""
        self.exchanged += 1
        asked = self.codes.pop(form.get("code", ""), None)
        known = [] if self.secret is None else [self.id, self.secret]
        if asked is None or _known_by(authorization) != known or form.get("grant_type") != "authorization_code":
            return None
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = urlsafe_b64encode(digest).rstrip(b"=").decode()
        is_theirs = all(form.get(name) == asked[name] for name in ("client_id", "redirect_uri"))
        return asked if is_theirs and challenge == asked["code_challenge"] else None


def _known_by(authorization: str) -> list[str]:
    """Return name and secret of a client (RFC 6749 section 2.3.1)."""
    shown = b64decode(authorization.removeprefix("Basic ")).decode()
    return [unquote_plus(part) for part in shown.split(":")] if shown else []


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
    client: Client | None = None

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
        stated = {
            "issuer": self.url,
            "jwks_uri": f"{self.url}/keys",
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            **self.metadata,
        }
        return web.json_response(stated, status=self.status)

    async def _keys(self, _request: web.Request) -> web.Response:
        self.asked += 1
        await asyncio.sleep(self.delay)
        if isinstance(self.jwks, bytes):
            return web.Response(body=self.jwks, status=self.status)
        return web.json_response(self.published(), status=self.status)

    async def _asked(self, request: web.Request) -> web.Response:
        if self.client is None or not self.client.asks_rightly(request.query):
            return web.Response(status=400, text="no client that is known here asks so")
        kept = "".join(
            f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
            for name, value in request.query.items()
        )
        buttons = '<button name="go" value="yes">Continue</button><button name="go" value="no">Cancel</button>'
        page = f'<!doctype html><title>Provider</title><form method="post" action="/authorize">{kept}{buttons}</form>'
        return web.Response(text=page, content_type="text/html")

    async def _consented(self, request: web.Request) -> web.Response:
        asked = {name: str(value) for name, value in (await request.post()).items()}
        if self.client is None or not self.client.asks_rightly(asked):
            return web.Response(status=400)
        answer = {"state": asked["state"], "iss": self.url}
        if asked.get("go") == "yes":
            answer["code"] = secrets.token_urlsafe(16)
            self.client.codes[answer["code"]] = asked
        else:
            answer["error"] = "access_denied"
        raise web.HTTPSeeOther(f"{asked['redirect_uri']}?{urlencode(answer)}")

    async def _exchanged(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        asked = None if self.client is None else self.client.gave(form, request.headers.get("Authorization", ""))
        if self.client is None or asked is None:
            return web.json_response({"error": "invalid_grant"}, status=400)
        if self.client.answer is not None:
            return self.client.answer
        stated = {"aud": self.client.id, "nonce": asked["nonce"], "groups": self.client.groups, **self.client.changes}
        token = {"access_token": "opaque", "token_type": "Bearer", "id_token": self.token(**stated)}
        return web.json_response(token, headers={"Cache-Control": "no-store"})


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
        app.router.add_get("/authorize", found._asked)
        app.router.add_post("/authorize", found._consented)
        app.router.add_post("/token", found._exchanged)
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
