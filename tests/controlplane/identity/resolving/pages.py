"""A real web server on loopback that has documents, with TLS or without, and counts who asks."""

import asyncio
import datetime
import json
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from controlplane.identifiers.documents import organisation_document
from controlplane.jose.keys import DeviceKey

HOST = "org-a.example"

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Pages:
    """What the server answers, by path; 404 for any other.

    Attributes:
        port: where it listens.
        answers: by path.
        asked: paths that were asked for, in order.
    """

    port: int
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def did(self, host: str = HOST, path: str = "") -> str:
        """The DID whose document this server has."""
        return f"did:web:{host}%3A{self.port}{path}"

    def put(self, document: Any, path: str = "/.well-known/did.json", **options: Any) -> None:
        """Have a document at a path; bytes as they are, anything else as JSON."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        stated = {"content_type": "application/did+json", **options}

        async def _answer(_request: web.Request) -> web.Response:
            return web.Response(body=body, **stated)

        self.answers[path] = _answer


def published(did: str, key: DeviceKey | None = None) -> Any:
    """Return the document of an organisation as JSON."""
    return organisation_document(did, (key or DeviceKey.generate()).public).model_dump(mode="json", exclude_none=True)


class Hosts(AbstractResolver):
    """Says that names lead to addresses, as DNS would: names of organisations cannot exist here."""

    def __init__(self, found: dict[str, list[str]]) -> None:
        self.found = found
        self.closed = False

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if host not in self.found:
            raise OSError("no such name")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self.found[host]
        ]

    async def close(self) -> None:
        self.closed = True


def names(*addresses: str, host: str = HOST) -> Hosts:
    """Return what leads a host to addresses; to this machine without any."""
    return Hosts({host: list(addresses) or ["127.0.0.1"]})


@asynccontextmanager
async def serving_pages(tls: ssl.SSLContext | None = None) -> AsyncIterator[Pages]:
    """Serve on a free loopback port."""

    async def _any(request: web.Request) -> web.StreamResponse:
        pages.asked.append(request.path)
        answer = pages.answers.get(request.path)
        if answer is None:
            raise web.HTTPNotFound
        return await answer(request)

    app = web.Application()
    app.router.add_get("/{path:.*}", _any)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    listening = socket.create_server(("127.0.0.1", 0))
    pages = Pages(listening.getsockname()[1])
    await web.SockSite(runner, listening, ssl_context=tls).start()
    try:
        yield pages
    finally:
        await runner.cleanup()


def certified(folder: Path, host: str = HOST) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return the contexts of a server that has a certificate for a host, and of a client that believes it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    held, shown = folder / f"{host}.key", folder / f"{host}.pem"
    held.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    shown.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(shown, held)
    return server, ssl.create_default_context(cafile=str(shown))


async def slowly(_request: web.Request) -> web.StreamResponse:
    """Answer never."""
    await asyncio.sleep(3600)
    raise web.HTTPGone
