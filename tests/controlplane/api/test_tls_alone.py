"""TLS 1.3 and nothing older: at each of our listeners, and from each of our clients."""

import argparse
import asyncio
import contextlib
import os
import shutil
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from adapters.client import SyncControlPlane
from adapters.errors import Unreachable
from adapters.flower.proxy.commands import other_tls, own_tls
from adapters.mutual import mutual_tls
from adapters.transport import Transport
from controlplane.capabilities.channels import client_context
from controlplane.cli.asked import Asked, Away, nobody
from controlplane.cli.served import served
from controlplane.decisions.opa import OpaAddress, OpaTransport
from controlplane.entry import authorities_of
from controlplane.jose.keys import DeviceKey
from controlplane.serving_certificate import keep_certificate
from controlplane.settings import Settings
from controlplane.sidecar import Sidecar, SidecarOptions, locate_opa
from controlplane.sidecar.folders import beside
from tests.servers.ports import free_port
from tests.support import ControlPlane, running, wait_until


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    with running(tls_own=True) as found:
        yield found


@pytest.fixture(scope="module")
def own(plane: ControlPlane) -> Path:
    return plane.state / "tls"


def port_of(plane: ControlPlane) -> int:
    return int(plane.url.rpartition(":")[2])


def spoken(port: int, authority: Path, most: ssl.TLSVersion) -> str:
    """Return the version that a server speaks to a client of ``most``; empty where it refuses it."""
    context = ssl.create_default_context(cafile=str(authority))
    context.maximum_version = most
    try:
        raw = socket.create_connection(("127.0.0.1", port), timeout=10)
        with raw, context.wrap_socket(raw, server_hostname="127.0.0.1") as connection:
            return connection.version() or ""
    except (ssl.SSLError, ConnectionError):
        return ""


def test_the_control_plane_speaks_tls_1_3_alone_and_nothing_in_the_clear(plane: ControlPlane, own: Path) -> None:
    assert plane.url.startswith("https://")
    assert spoken(port_of(plane), own / "authority.pem", ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
    assert spoken(port_of(plane), own / "authority.pem", ssl.TLSVersion.TLSv1_2) == ""
    with socket.create_connection(("127.0.0.1", port_of(plane)), timeout=10) as plain:
        plain.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            assert not plain.recv(1024).startswith(b"HTTP/")


def test_its_sdk_reaches_it_with_the_authority_and_not_without(plane: ControlPlane, own: Path) -> None:
    tls = client_context(own / "authority.pem")
    with SyncControlPlane(plane.url, DeviceKey.generate(), tls=tls) as known:
        assert known.jwks()["keys"]
    with SyncControlPlane(plane.url, DeviceKey.generate()) as unknown, pytest.raises(Unreachable):
        unknown.jwks()


def test_opa_speaks_tls_1_3_alone_where_it_listens_on_tcp(own: Path) -> None:
    opa = locate_opa(os.environ)

    async def tried() -> None:
        short = Path(f"/tmp/ztfm-tls-{free_port()}")
        at = f"127.0.0.1:{free_port()}"
        options = SidecarOptions(opa, short, beside(), at, certificate=own / "server.pem", key=own / "server-key.pem")
        sidecar = Sidecar(options)
        await sidecar.start()
        try:
            port = int(at.rpartition(":")[2])
            await asyncio.to_thread(wait_until, lambda: listens(port), 10)
            versions = (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2)
            found = [await asyncio.to_thread(spoken, port, own / "authority.pem", version) for version in versions]
            assert found == ["TLSv1.3", ""]
        finally:
            await sidecar.stop()
            shutil.rmtree(short)

    asyncio.run(tried())


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def test_the_proxy_of_a_flower_deployment_takes_tls_1_3_alone(own: Path) -> None:
    given = argparse.Namespace(tls_certificate=own / "server.pem", tls_key=own / "server-key.pem")
    context = own_tls(given)
    assert context is not None
    with serving(context) as port:
        assert spoken(port, own / "authority.pem", ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
        assert spoken(port, own / "authority.pem", ssl.TLSVersion.TLSv1_2) == ""


@contextlib.contextmanager
def serving(context: ssl.SSLContext) -> Iterator[int]:
    """Answer TLS connections as a context does, and say nothing more."""
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def answer() -> None:
        while not stop.is_set():
            try:
                raw, _ = listener.accept()
            except OSError:
                return
            with contextlib.suppress(ssl.SSLError, OSError), context.wrap_socket(raw, server_side=True) as connection:
                connection.settimeout(5)
                connection.recv(1024)
            raw.close()

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        stop.set()
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


@pytest.fixture(scope="module")
def older(own: Path) -> Iterator[str]:
    """The URL of a server that speaks nothing newer than TLS 1.2, with a certificate that everybody here trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(own / "server.pem", own / "server-key.pem")
    with serving(context) as port:
        assert spoken(port, own / "authority.pem", ssl.TLSVersion.TLSv1_3) == "TLSv1.2"
        yield f"https://127.0.0.1:{port}"


async def test_the_sdk_speaks_to_no_older_server(older: str, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(own / "authority.pem"))
    for tls in (None, client_context(own / "authority.pem")):
        transport = Transport(tls=tls)
        with pytest.raises(Unreachable):
            await transport.send("GET", f"{older}/livez", None, dict)
        await transport.close()


async def test_the_control_plane_speaks_to_no_older_opa(older: str, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(own / "authority.pem"))
    transport = OpaTransport(OpaAddress(token="t", url=older))
    connector = transport._session.connector
    with pytest.raises(aiohttp.ClientSSLError):
        await transport._session.get(older)
    assert connector is not None
    await transport.close()


async def test_commands_speak_to_no_older_control_plane(older: str, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(own / "authority.pem"))
    asked = Asked(older)
    with pytest.raises(Away):
        await asked.get("/readyz", nobody())
    await asked.close()
    assert await asyncio.to_thread(served, older, own / "authority.pem") is None


def test_a_device_goes_all_its_way_over_tls_1_3_and_both_sides_are_certified(plane: ControlPlane, own: Path) -> None:
    key, token = DeviceKey.generate(), plane.token(["trainer"], "homes")
    with SyncControlPlane(plane.url, key, tls=client_context(own / "authority.pem")) as first:
        name = first.enrol(token, roles=["trainer"], segment="homes").id
        issued = first.certificate()
    context = mutual_tls(key, issued)
    with SyncControlPlane(plane.url, key, tls=context, proofs=False) as certified:
        assert certified.device(name).id == name
    contexts = (context, client_context(), other_tls(own / "authority.pem"))
    assert all(context is not None and context.minimum_version == ssl.TLSVersion.TLSv1_3 for context in contexts)


def certificate(settings: Settings) -> bytes:
    return (settings.state_dir / "tls" / "server.pem").read_bytes()


def test_the_certificate_is_made_once_and_anew_for_other_hosts_in_time_and_by_another_authority(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path, tls_own=True)
    now = time.time()
    authorities = authorities_of(settings)
    assert keep_certificate(settings, authorities, now)
    first = certificate(settings)
    assert not keep_certificate(settings, authorities, now + 86_400)
    assert certificate(settings) == first
    named = settings.model_copy(update={"public_url": "https://control.example:8181"})
    assert keep_certificate(named, authorities, now)
    assert not keep_certificate(settings, authorities, now)
    assert keep_certificate(settings, authorities, now + 300 * 86_400)
    (tmp_path / "tls" / "server.pem").write_bytes(b"no certificate")
    assert keep_certificate(settings, authorities, now)


def test_a_certificate_of_ones_own_and_one_that_is_given_exclude_one_another(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="makes its own certificate"):
        Settings(state_dir=tmp_path, tls_own=True, tls_cert_file=tmp_path / "a.pem", tls_key_file=tmp_path / "b.pem")
    assert Settings(state_dir=tmp_path, tls_own=True).serves_tls_alone
    assert Settings(state_dir=tmp_path).tls_cert_file is None
