"""Where questions are taken from, and who may ask."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from adapters.gateway.authorizing import Authorizer
from adapters.gateway.command import parser, tls_of
from adapters.gateway.dialects import DIALECTS
from adapters.gateway.serving import PATH, Question, Service, serving
from adapters.web import EnforcementPoint, Rule
from controlplane.identifiers.spiffe import TrustDomain, device_spiffe_id
from controlplane.identity.authority import CertificateAuthority
from controlplane.jose.keys import SigningKey, load_public
from tests.adapters.web.conftest import publishing
from tests.clocks import Clock

SAID = {"X-Original-Method": "GET", "X-Original-URI": "/healthz", "X-Original-Body": "/"}


@asynccontextmanager
async def service(dialect: str = "nginx") -> AsyncIterator[Service]:
    async with publishing(Clock()) as issuer:
        rules = [Rule("inference", "m", "/v1/infer")]
        given: dict[str, Any] = {"audience": "a", "public_url": "https://m.example", "rules": rules}
        point = EnforcementPoint(issuer.url, exempt=["/healthz"], **given)
        yield Service(Authorizer(point), Question(DIALECTS[dialect]), Clock())
        await point.close()


async def asked(url: str, path: str = PATH, headers: Mapping[str, str] = SAID, **options: Any) -> int:
    connector = aiohttp.UnixConnector(url.removeprefix("unix:")) if url.startswith("unix:") else None
    base = "http://authorizer" if connector else url
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.get(base + path, headers=headers, **options) as answer,
    ):
        return answer.status


async def test_a_socket_is_its_owners_and_groups_and_gone_afterwards(tmp_path: Path) -> None:
    socket = tmp_path / "authorize.sock"
    async with service() as found, serving(found, socket=socket) as where:
        assert where == f"unix:{socket}"
        assert socket.stat().st_mode & 0o777 == 0o660
        assert await asked(where) == 200
        assert await asked(where, headers={**SAID, "X-Original-URI": "/v1/infer"}) == 401
    assert not socket.exists()


async def test_a_socket_that_was_left_over_is_replaced_and_a_file_is_not(tmp_path: Path) -> None:
    left, file = tmp_path / "left.sock", tmp_path / "notes.txt"
    (await asyncio.start_unix_server(lambda _reader, _writer: None, left)).close()
    assert left.exists()
    file.write_text("mine")
    async with service() as found:
        async with serving(found, socket=left) as where:
            assert await asked(where) == 200
        with pytest.raises(FileExistsError, match="name another path"):
            async with serving(found, socket=file):
                pass
    assert file.read_text() == "mine"


async def test_questions_go_to_one_path() -> None:
    async with service() as found, serving(found) as where:
        assert where.startswith("http://127.0.0.1:")
        for path in ("/", "/healthz", "/v1/gateway/authorizes", "/v1/gateway", f"/x{PATH}"):
            assert await asked(where, path) == 404, path
    async with service("envoy") as found, serving(found) as where:
        body = {"X-Original-Body": "/"}
        assert await asked(where, f"{PATH}/healthz", body) == 200
        assert await asked(where, f"{PATH}/healthz?x=1", body) == 200
        assert await asked(where, PATH, body) == 400
        assert await asked(where, f"{PATH}?/healthz", body) == 400
        assert await asked(where, f"{PATH}/v1/infer", body) == 401


async def test_on_another_machine_only_the_proxy_with_its_certificate_is_answered(tmp_path: Path) -> None:
    authority, other = (CertificateAuthority.create(TrustDomain(f"{name}.example"), time.time()) for name in "ab")
    for name, signer in (("service", authority), ("proxy", authority), ("thief", other)):
        key = SigningKey.generate()
        public, now = load_public(key.public), time.time()
        named = device_spiffe_id(TrustDomain(f"{'b' if name == 'thief' else 'a'}.example"), f"dev-{key.thumbprint}")
        is_server = name == "service"
        made = signer.issue_server(["127.0.0.1"], public, now) if is_server else signer.issue_svid(named, public, now)
        (tmp_path / f"{name}.pem").write_bytes(key.to_pem() + made.public_bytes(Encoding.PEM))
    (tmp_path / "authority.pem").write_text(authority.certificate_pem)
    files = ["--tls-certificate", "service.pem", "--tls-key", "service.pem", "--tls-client-authority", "authority.pem"]
    words = [str(tmp_path / word) if word.endswith(".pem") else word for word in files]
    needed = ["keys", "--dialect", "nginx", "--audience", "a", "--public-url", "https://m", "--rules", "r.json"]
    tls = tls_of(parser().parse_args([*needed, *words]))
    async with service() as found, serving(found, tls=tls) as where:
        for name, expected in (("proxy", 200), ("thief", None), (None, None)):
            context = ssl.create_default_context(cafile=str(tmp_path / "authority.pem"))
            if name is not None:
                context.load_cert_chain(tmp_path / f"{name}.pem")
            if expected is not None:
                assert await asked(where, ssl=context) == expected
                continue
            with pytest.raises(aiohttp.ClientError):
                await asked(where, ssl=context)
