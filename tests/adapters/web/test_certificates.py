"""Capabilities that are bound to a client certificate (RFC 8705), over real TLS and in ASGI's TLS extension."""

import json
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.serialization import Encoding

from adapters.mutual import mutual_tls
from adapters.web import EnforcementPoint, Rule
from adapters.web.aiohttp import guard
from adapters.web.asgi import Guarded, capability_of
from controlplane.capabilities.certificates import certificate_thumbprint
from controlplane.capabilities.minting import Minter
from controlplane.contracts.capability import AuthorizationDetail, Constraints
from controlplane.contracts.identity import IssuedCertificate
from controlplane.identifiers.spiffe import TrustDomain, device_spiffe_id
from controlplane.identity.authority import CertificateAuthority
from controlplane.jose.keys import DeviceKey, SigningKey, load_public
from tests.adapters.web.conftest import AUDIENCE, Issuer, publishing
from tests.clocks import Clock

DOMAIN = TrustDomain("homes.example")
RULES = (Rule("inference", "intents", "/v1/infer"),)


@dataclass
class Tls:
    """An authority, and what it signed for a device."""

    issuer: Issuer
    authority: CertificateAuthority
    device: DeviceKey

    def issued(self, key: DeviceKey | None = None, **changes: Any) -> IssuedCertificate:
        key = key or self.device
        name = device_spiffe_id(DOMAIN, f"dev-{key.thumbprint}")
        made = self.authority.issue_svid(name, load_public(key.public), time.time(), **changes)
        return IssuedCertificate(
            certificate=made.public_bytes(Encoding.PEM).decode(),
            authority=self.authority.certificate_pem,
            thumbprint=certificate_thumbprint(made.public_bytes(Encoding.DER)),
            spiffe_id=str(name),
            expires_at=made.not_valid_after_utc.timestamp(),
        )

    def capability(self, thumbprint: str | None) -> str:
        detail = AuthorizationDetail(
            type="ztfm", action="inference", resource_type="model", resource_id="intents", constraints=Constraints()
        )
        minter = Minter(lambda: self.issuer.keys[0], self.issuer.url, time.time)
        token, _ = minter.mint(
            "dev-a", self.device.thumbprint, AUDIENCE, detail, "dec-1", "r", 60.0, certificate=thumbprint
        )
        return token

    def point(self, **options: Any) -> EnforcementPoint:
        given = {"public_url": "https://127.0.0.1", "certificates": True, **options}
        return EnforcementPoint(self.issuer.url, audience=AUDIENCE, rules=RULES, **given)


@pytest.fixture
async def tls() -> AsyncIterator[Tls]:
    async with publishing(Clock()) as issuer:
        yield Tls(issuer, CertificateAuthority.create(DOMAIN, time.time()), DeviceKey.generate())


@asynccontextmanager
async def endpoint(tls: Tls, folder: Path, **options: Any) -> AsyncIterator[str]:
    key = SigningKey.generate()
    made = tls.authority.issue_server(["127.0.0.1"], load_public(key.public), time.time())
    (folder / "server.pem").write_bytes(key.to_pem() + made.public_bytes(Encoding.PEM))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=tls.authority.certificate_pem)
    context.load_cert_chain(folder / "server.pem")
    context.verify_mode = ssl.CERT_OPTIONAL

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text="let through")

    app = web.Application()
    guard(app, tls.point(**options))
    app.router.add_route("*", "/v1/infer", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    yield f"https://127.0.0.1:{runner.addresses[0][1]}/v1/infer"
    await runner.cleanup()


async def status(url: str, context: ssl.SSLContext, token: str, **headers: str) -> int:
    connector = aiohttp.TCPConnector(ssl=context)
    shown = {"Authorization": f"Bearer {token}", **headers}
    async with aiohttp.ClientSession(connector=connector) as session, session.post(url, headers=shown) as answer:
        return answer.status


async def test_the_connection_of_the_certificate_is_the_proof_and_no_other(tls: Tls, tmp_path: Path) -> None:
    mine, thief = tls.issued(), DeviceKey.generate()
    token = tls.capability(mine.thumbprint)
    with_mine = mutual_tls(tls.device, mine)
    with_anothers = mutual_tls(thief, tls.issued(thief))
    renewed = mutual_tls(tls.device, tls.issued())
    without = ssl.create_default_context(cadata=tls.authority.certificate_pem)
    async with endpoint(tls, tmp_path) as url:
        assert await status(url, with_mine, token) == 200
        assert await status(url, with_mine, token) == 200
        assert await status(url, with_anothers, token) == 401
        assert await status(url, renewed, token) == 401, "the certificate counts, not its key"
        assert await status(url, without, token) == 401
        assert await status(url, with_mine, tls.capability(None)) == 401, "one for a key is no bearer token"
        header = {"X-Client-Cert": mine.certificate.replace("\n", ""), "X-Forwarded-Client-Cert": mine.thumbprint}
        assert await status(url, without, token, **header) == 401, "a certificate comes from the connection alone"


async def test_a_connection_is_worth_nothing_once_its_certificate_has_expired(tls: Tls, tmp_path: Path) -> None:
    mine = tls.issued(lifetime_seconds=20.0)
    token = tls.capability(mine.thumbprint)
    async with endpoint(tls, tmp_path, clock=lambda: time.time() + 30.0) as url:
        assert await status(url, mutual_tls(tls.device, mine), token) == 401


async def test_certificates_count_only_where_they_are_meant_to(tls: Tls, tmp_path: Path) -> None:
    mine = tls.issued()
    async with endpoint(tls, tmp_path, certificates=False) as url:
        assert await status(url, mutual_tls(tls.device, mine), tls.capability(mine.thumbprint)) == 401


@pytest.mark.parametrize(
    ("chain", "expected"),
    [("mine", 200), ("another", 401), ("none", 401), ("broken", 401), ("no extension", 401)],
)
async def test_an_asgi_server_hands_on_the_certificate_of_the_connection(tls: Tls, chain: str, expected: int) -> None:
    mine = tls.issued()
    chains = {"mine": [mine.certificate], "another": [tls.issued().certificate], "none": [], "broken": ["-----BEGIN"]}
    sent: list[Any] = []

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        assert capability_of(scope).subject == "dev-a"
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def collect(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/infer",
        "raw_path": b"/v1/infer",
        "headers": [(b"authorization", f"Bearer {tls.capability(mine.thumbprint)}".encode())],
    }
    if chain in chains:
        scope["extensions"] = {"tls": {"client_cert_chain": chains[chain]}}
    point = tls.point()
    await Guarded(app, point)(scope, None, collect)  # type: ignore[arg-type]
    await point.close()
    assert sent[0]["status"] == expected
    if expected == 401:
        assert json.loads(sent[1]["body"])["status"] == 401
        assert (b"www-authenticate", b'DPoP error="invalid_token", algs="ES256", Bearer') in sent[0]["headers"]
