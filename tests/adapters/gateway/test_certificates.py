"""Capabilities that a client certificate is bound to, through proxies that end TLS and say which one they saw."""

import asyncio
import base64
import ssl
import time
from functools import partial
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from adapters.mutual import mutual_tls
from controlplane.capabilities.certificates import certificate_thumbprint
from controlplane.capabilities.minting import Minter
from controlplane.contracts.capability import AuthorizationDetail, Constraints
from controlplane.contracts.identity import IssuedCertificate
from controlplane.identifiers.spiffe import TrustDomain, device_spiffe_id
from controlplane.identity.authority import CertificateAuthority
from controlplane.jose.keys import DeviceKey, SigningKey, load_public
from tests.adapters.gateway.lab import MODEL, Lab, behind
from tests.adapters.gateway.proxied import ENSURE, RUNS, TLS
from tests.adapters.web.conftest import AUDIENCE
from tests.servers.debian import NotInstalled

HOST = "models.example"
DOMAIN = TrustDomain("homes.example")


def issued(authority: CertificateAuthority, key: DeviceKey) -> IssuedCertificate:
    name = device_spiffe_id(DOMAIN, f"dev-{key.thumbprint}")
    made = authority.issue_svid(name, load_public(key.public), time.time())
    return IssuedCertificate(
        certificate=made.public_bytes(Encoding.PEM).decode(),
        authority=authority.certificate_pem,
        thumbprint=certificate_thumbprint(made.public_bytes(Encoding.DER)),
        spiffe_id=str(name),
        expires_at=made.not_valid_after_utc.timestamp(),
    )


def bound(lab: Lab, thumbprint: str) -> str:
    constraints = Constraints(detail="full")
    detail = AuthorizationDetail(
        type="ztfm", action="inference", resource_type="model", resource_id=MODEL, constraints=constraints
    )
    minter = Minter(lambda: lab.issuer.keys[0], lab.issuer.url, lab.issuer.clock)
    thumb = lab.device.thumbprint
    return minter.mint(f"dev-{thumb}", thumb, AUDIENCE, detail, "dec-1", "r", 60.0, certificate=thumbprint)[0]


async def status(lab: Lab, context: ssl.SSLContext, token: str, **headers: str) -> int:
    shown = {"Authorization": f"Bearer {token}", **headers}
    url = f"https://127.0.0.1:{lab.port}/v1/infer"
    connector = aiohttp.TCPConnector(ssl=context)
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.post(url, headers={"Host": HOST, **shown}, data=b"x", server_hostname=HOST) as answer,
    ):
        return answer.status


@pytest.mark.parametrize("dialect", ["nginx", "caddy", "haproxy", "envoy"])
async def test_the_certificate_of_the_connection_counts_and_what_a_client_says_of_one_does_not(
    dialect: str, tmp_path: Path
) -> None:
    try:
        await asyncio.to_thread(ENSURE[dialect])
    except NotInstalled as missing:
        pytest.skip(str(missing))
    authority, key = CertificateAuthority.create(DOMAIN, time.time()), SigningKey.generate()
    server = authority.issue_server([HOST], load_public(key.public), time.time())
    (tmp_path / "server.pem").write_bytes(key.to_pem() + server.public_bytes(Encoding.PEM))
    (tmp_path / "devices.pem").write_text(authority.certificate_pem)

    runs = partial(RUNS[dialect], more=TLS[dialect])
    async with behind(dialect, tmp_path, runs, certificates=True) as lab:
        mine, thief = issued(authority, lab.device), DeviceKey.generate()
        token = bound(lab, mine.thumbprint)
        assert await status(lab, mutual_tls(lab.device, mine), token) == 200
        assert lab.seen[0].values("ztfm-subject") == [f"dev-{lab.device.thumbprint}"]
        assert "BEGIN" not in repr(lab.seen[0].headers)
        pem = mine.certificate
        digest = base64.urlsafe_b64decode(f"{mine.thumbprint}=").hex()
        item = f":{base64.b64encode(ssl.PEM_cert_to_DER_cert(pem)).decode()}:"
        without = ssl.create_default_context(cadata=authority.certificate_pem)
        for context in (without, mutual_tls(thief, issued(authority, thief))):
            assert await status(lab, context, token) == 401
            for claimed in (quote(pem, safe=""), item):
                said = {"Client-Cert": claimed, "Client-Cert-Verified": "SUCCESS"}
                said |= {"X-Forwarded-Client-Cert": f"Hash={digest}"}
                assert await status(lab, context, token, **said) == 401
        said = {"Client-Cert": ":eA==:", "Client-Cert-Verified": "SUCCESS"}
        assert await status(lab, mutual_tls(lab.device, mine), token, **said) == 200
        assert not [name for name, value in lab.seen[1].headers if name.lower().startswith("client-cert") and value]
        assert len(lab.seen) == 2
