"""Connections between SPIFFE IDs: each side verifies the other before a byte of what they have to say is sent."""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding

from adapters.svid import SpiffeId, TrustBundle, X509Svid, peer_context, peer_of
from adapters.svid.identity import private_pem
from adapters.svid.verifying import Expected
from controlplane.identity.authority import CertificateAuthority
from tests.adapters.svid.world import DOMAIN, ONE, OTHER, World

WORLD = World(authority=CertificateAuthority.create(DOMAIN, 1_700_000_000.0))


def shown(name: SpiffeId, world: World = WORLD, lifetime: float = 3600.0, now: float = 0.0) -> X509Svid:
    import time

    now = now or time.time()
    key = generate_private_key(SECP256R1())
    issued = world.authority.issue_svid(name, key.public_key(), now, lifetime)
    certificate = issued.public_bytes(Encoding.PEM).decode()
    return X509Svid(name, private_pem(key), certificate, world.bundle, now, now + lifetime)


def context(
    svid: X509Svid, expected: Expected, *, server: bool, bundle: Callable[[], TrustBundle] | None = None
) -> ssl.SSLContext:
    made = peer_context(bundle or (lambda: WORLD.bundle), expected, server=server)
    svid.show(made)
    return made


@contextlib.asynccontextmanager
async def answering(serving: ssl.SSLContext, heard: list[object]) -> AsyncIterator[int]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(peer_of(writer.get_extra_info("ssl_object")))
        heard.append(await reader.readline())
        writer.write(b"hello\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=serving)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def talk(port: int, asking: ssl.SSLContext) -> tuple[SpiffeId | None, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=asking)
    try:
        writer.write(b"secret\n")
        return peer_of(writer.get_extra_info("ssl_object")), await reader.readline()
    finally:
        writer.close()


async def test_two_workloads_know_each_other() -> None:
    heard: list[object] = []
    serving = context(shown(ONE), {OTHER}, server=True)
    async with answering(serving, heard) as port:
        assert await talk(port, context(shown(OTHER), {ONE}, server=False)) == (ONE, b"hello\n")
    assert heard == [OTHER, b"secret\n"]


async def test_a_server_that_is_somebody_else_hears_nothing() -> None:
    heard: list[object] = []
    async with answering(context(shown(OTHER), lambda _: True, server=True), heard) as port:
        with pytest.raises(ssl.SSLCertVerificationError, match="unexpected"):
            await talk(port, context(shown(OTHER), {ONE}, server=False))
    assert b"secret\n" not in heard


async def test_a_client_that_is_somebody_else_is_not_heard() -> None:
    heard: list[object] = []
    async with answering(context(shown(ONE), {ONE}, server=True), heard) as port:
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            assert (await talk(port, context(shown(OTHER), {ONE}, server=False)))[1] == b""
    assert heard == []


async def test_without_a_certificate_nobody_is_heard() -> None:
    heard: list[object] = []
    nobody = peer_context(lambda: WORLD.bundle, {ONE}, server=False)
    nobody.load_verify_locations(cadata=WORLD.bundle.pem)
    async with answering(context(shown(ONE), lambda _: True, server=True), heard) as port:
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            assert (await talk(port, nobody))[1] == b""
    assert heard == []


async def test_an_authority_that_is_taken_out_of_the_bundle_is_trusted_no_more() -> None:
    """OpenSSL still knows it: what counts is the bundle as it is at each handshake."""
    heard: list[object] = []
    bundles = [WORLD.bundle]
    async with answering(context(shown(ONE), lambda _: True, server=True), heard) as port:
        asking = context(shown(OTHER), {ONE}, server=False, bundle=lambda: bundles[-1])
        assert (await talk(port, asking))[1] == b"hello\n"
        bundles.append(World().bundle)
        with pytest.raises(ssl.SSLCertVerificationError, match="untrusted"):
            await talk(port, asking)


async def test_an_expired_peer_is_refused() -> None:
    heard: list[object] = []
    old = shown(ONE, lifetime=600.0, now=1_700_000_000.0)
    async with answering(context(old, lambda _: True, server=True), heard) as port:
        with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
            await talk(port, context(shown(OTHER), {ONE}, server=False))


def test_plain_sockets_are_verified_too() -> None:
    serving, heard = context(shown(ONE), {OTHER}, server=True), []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for _ in range(2):
                raw, _ = listener.accept()
                with contextlib.suppress(ssl.SSLError, OSError), serving.wrap_socket(raw, server_side=True) as tls:
                    heard.append(peer_of(tls))

        thread = threading.Thread(target=serve)
        thread.start()
        port = listener.getsockname()[1]
        asking = context(shown(OTHER), {ONE}, server=False)
        with socket.create_connection(("127.0.0.1", port)) as raw, asking.wrap_socket(raw) as tls:
            assert peer_of(tls) == ONE
        with socket.create_connection(("127.0.0.1", port)) as raw, pytest.raises(ssl.SSLCertVerificationError):
            context(shown(OTHER), {OTHER}, server=False).wrap_socket(raw)
        thread.join(10)
    assert heard[0] == OTHER


def test_a_connection_that_nobody_verified_is_nobodys() -> None:
    plain = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="a")
    assert peer_of(plain) is None
    assert peer_of(None) is None


def test_a_key_and_a_certificate_that_do_not_belong_together_are_not_shown() -> None:
    mixed = X509Svid(**{**vars(shown(ONE)), "key": shown(ONE).key})
    with pytest.raises(ValueError, match="not that of this key"):
        mixed.show(peer_context(lambda: WORLD.bundle, {ONE}, server=True))


def test_a_private_key_is_not_in_what_is_printed() -> None:
    assert "PRIVATE" not in repr(shown(ONE))
