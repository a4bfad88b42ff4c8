"""The proxy over TLS: a client certificate in place of a proof, and answers that are cut."""

import argparse
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.serialization import Encoding

from adapters.gateway.proxy import Limits, OpenAi, Parts, Served, Upstream, by_rule, opened, options
from adapters.mutual import mutual_tls
from adapters.web import EnforcementPoint
from controlplane.capabilities.minting import Minter
from controlplane.contracts.capability import AuthorizationDetail, Constraints
from controlplane.identity.authority import CertificateAuthority
from controlplane.jose.keys import DeviceKey, SigningKey, load_public
from tests.adapters.gateway.proxy.conftest import (
    CHAT,
    MODEL,
    PROMPT,
    Book,
    Known,
    Model,
    Rulebook,
    chunk,
    modelling,
    until,
)
from tests.adapters.web.conftest import AUDIENCE, publishing
from tests.adapters.web.test_certificates import DOMAIN, Tls
from tests.clocks import Clock


@pytest.fixture
async def tls() -> AsyncIterator[Tls]:
    async with publishing(Clock()) as issuer:
        yield Tls(issuer, CertificateAuthority.create(DOMAIN, time.time()), DeviceKey.generate())


@asynccontextmanager
async def proxying(tls: Tls, folder: Path, model: Model, known: Known) -> AsyncIterator[str]:
    """Run the proxy with the TLS that its options stand for."""
    key = SigningKey.generate()
    made = tls.authority.issue_server(["127.0.0.1"], load_public(key.public), time.time())
    (folder / "key.pem").write_bytes(key.to_pem())
    (folder / "server.pem").write_bytes(made.public_bytes(Encoding.PEM))
    (folder / "authority.pem").write_text(tls.authority.certificate_pem)
    given = argparse.Namespace(
        tls_certificate=folder / "server.pem",
        tls_key=folder / "key.pem",
        tls_client_authority=folder / "authority.pem",
    )
    limits = Limits()
    endpoints = by_rule(OpenAi().endpoints([Served(MODEL)], limits))
    point = EnforcementPoint(
        tls.issuer.url,
        audience=AUDIENCE,
        public_url="https://127.0.0.1",
        rules=list(endpoints),
        revocations=known,
        certificates=True,
    )
    parts = Parts(point, endpoints, Upstream(model.url, limits), Book(), Rulebook())
    async with opened(parts, tls=options.tls_of(given)) as url:
        yield url


def capability(tls: Tls, thumbprint: str) -> str:
    """A capability of the device for full answers, bound to its certificate."""
    limits = Constraints(detail="full", max_output_tokens=64)
    detail = AuthorizationDetail(
        type="ztfm", action="inference", resource_type="model", resource_id=MODEL, constraints=limits
    )
    minter = Minter(lambda: tls.issuer.keys[0], tls.issuer.url, time.time)
    token, _ = minter.mint("dev-a", tls.device.thumbprint, AUDIENCE, detail, "dec-1", "r", 60.0, certificate=thumbprint)
    return token


async def ask(url: str, context: ssl.SSLContext, token: str) -> int:
    connector = aiohttp.TCPConnector(ssl=context)
    shown = {"Authorization": f"Bearer {token}"}
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.post(url + CHAT, json=PROMPT, headers=shown) as answer,
    ):
        return answer.status


async def test_a_client_certificate_is_the_proof_of_a_capability_that_is_bound_to_it(tls: Tls, tmp_path: Path) -> None:
    mine, thief = tls.issued(), DeviceKey.generate()
    token = capability(tls, mine.thumbprint)
    async with modelling() as model, proxying(tls, tmp_path, model, Known(Clock(time.time()))) as url:
        assert url.startswith("https://")
        assert await ask(url, mutual_tls(tls.device, mine), token) == 200
        assert await ask(url, mutual_tls(thief, tls.issued(thief)), token) == 401
        none = ssl.create_default_context(cadata=tls.authority.certificate_pem)
        assert await ask(url, none, token) == 401
        assert len(model.seen) == 1


async def test_an_answer_is_cut_over_tls_too(tls: Tls, tmp_path: Path) -> None:
    mine, known = tls.issued(), Known(Clock(time.time()))
    token = capability(tls, mine.thumbprint)
    async with modelling() as model, proxying(tls, tmp_path, model, known) as url:

        async def run(request: web.Request) -> web.StreamResponse:
            answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await answer.prepare(request)
            await answer.write(chunk("it"))
            await model.ended.wait()
            return answer

        model.answer = run
        connector = aiohttp.TCPConnector(ssl=mutual_tls(tls.device, mine))
        headers = {"Authorization": f"Bearer {token}"}
        async with aiohttp.ClientSession(connector=connector) as session:
            async with session.post(url + CHAT, json={**PROMPT, "stream": True}, headers=headers) as answer:
                assert b'"it"' in await answer.content.readany()
                known.revoke("subject", "dev-a")
                with pytest.raises(aiohttp.ClientPayloadError):
                    await answer.content.read()
            await until(lambda: not model.running)
