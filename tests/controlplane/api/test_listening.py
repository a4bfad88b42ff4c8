"""Where the edge listens beside TCP: a Unix socket for those on this machine, and TLS that is whole or not at all."""

import asyncio
import json
import os
import socket
import ssl
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from adapters.plane import ControlPlane as Client
from controlplane.api.listening import ListenError, listen_unix, load_certificate, server_context
from controlplane.contracts.access import InferenceSize, Resource
from controlplane.contracts.capability import CapabilityContext
from controlplane.entry import authorities_of, follow_certificate, open_listeners
from controlplane.identifiers.spiffe import TrustDomain
from controlplane.identity.authority import CertificateAuthority
from controlplane.settings import Settings
from tests.servers.ports import free_port
from tests.support import MODEL, ControlPlane, running


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A short path: that of a Unix socket has at most about a hundred bytes."""
    with tempfile.TemporaryDirectory(prefix="ztfm-") as found:
        yield Path(found)


@pytest.fixture(scope="module")
def local(folder: Path) -> Iterator[ControlPlane]:
    with running(listen_socket=folder / "api.sock", listen_socket_mode="660") as plane:
        yield plane


def ask(path: Path, request: str) -> bytes:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(path))
        connection.sendall(request.encode())
        received = b""
        while chunk := connection.recv(65_536):
            received += chunk
        return received


def test_a_socket_answers_the_same_routes(local: ControlPlane, folder: Path) -> None:
    device = local.enrol("consumer")

    async def asked() -> str:
        async with Client(local.url, device.key, socket=folder / "api.sock") as plane:
            size = CapabilityContext(inference=InferenceSize(prompt_tokens=1, max_output_tokens=1))
            granted = await plane.capability("inference", Resource(type="model", id=MODEL), "gateway-1", size)
            return granted.require().decision_id

    record = local.run(local.services.transparency.log.get(asyncio.run(asked())))  # type: ignore[arg-type]
    assert record is not None
    context = json.loads(json.dumps(record.facts["context"]))
    assert context["network"] == {"address": "127.0.0.1"}, "whoever opens the socket is on this machine"


def test_a_socket_asks_who_is_there_all_the_same(local: ControlPlane, folder: Path) -> None:
    request = "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert ask(folder / "api.sock", request.format(path="/livez")).startswith(b"HTTP/1.1 200")
    assert ask(folder / "api.sock", request.format(path="/metrics")).startswith(b"HTTP/1.1 401")
    assert ask(folder / "api.sock", request.format(path="/v1/keys")).startswith(b"HTTP/1.1 401")


def test_a_socket_has_the_mode_that_was_asked_for(local: ControlPlane, folder: Path) -> None:
    assert (folder / "api.sock").stat().st_mode & 0o777 == 0o660


def test_a_socket_is_private_and_goes_with_its_listener(tmp_path: Path) -> None:
    path = Path(tempfile.mkdtemp(prefix="ztfm-")) / "s"
    with running(listen_socket=path):
        assert path.stat().st_mode & 0o777 == 0o600
    assert not path.exists()


def test_a_socket_that_was_left_behind_is_replaced(folder: Path) -> None:
    path = folder / "left.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    listen_unix(path, 0o600).socket.close()
    path.unlink()


def test_a_socket_that_is_answered_is_not_taken_away(folder: Path, local: ControlPlane) -> None:
    with pytest.raises(ListenError, match="answered already"):
        listen_unix(folder / "api.sock", 0o600)
    assert (folder / "api.sock").exists()


def test_a_file_is_not_overwritten_by_a_socket(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("mine")
    with pytest.raises(ListenError, match="no socket"):
        listen_unix(path, 0o600)
    (tmp_path / "link").symlink_to(path)
    with pytest.raises(ListenError, match="no socket"):
        listen_unix(tmp_path / "link", 0o600)
    assert path.read_text() == "mine"


@pytest.fixture(scope="module")
def authority() -> CertificateAuthority:
    return CertificateAuthority.create(TrustDomain("homes.example"), time.time())


def written(folder: Path, authority: CertificateAuthority, password: bytes | None = None) -> tuple[Path, Path]:
    key = generate_private_key(SECP256R1())
    issued = authority.issue_server(["127.0.0.1"], key.public_key(), time.time())
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    (folder / "cert.pem").write_bytes(issued.public_bytes(Encoding.PEM))
    return folder / "cert.pem", folder / "key.pem"


def test_tls_is_the_newest_and_resumes_nothing(tmp_path: Path, authority: CertificateAuthority) -> None:
    context = server_context(*written(tmp_path, authority), authority.certificate_pem)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_3
    assert context.verify_mode == ssl.CERT_OPTIONAL
    assert context.num_tickets == 0


def test_what_cannot_serve_tls_is_said(tmp_path: Path, authority: CertificateAuthority) -> None:
    certificate, key = written(tmp_path, authority)
    with pytest.raises(ListenError, match="cannot be served"):
        server_context(certificate, tmp_path / "none.pem", authority.certificate_pem)
    with pytest.raises(ListenError, match="authorities"):
        server_context(certificate, key, "no certificate")
    other = CertificateAuthority.create(TrustDomain("other"), time.time())
    (tmp_path / "other").mkdir()
    with pytest.raises(ListenError, match="cannot be served"):
        server_context(written(tmp_path / "other", other)[0], key, authority.certificate_pem)
    with pytest.raises(ListenError, match="encrypted"):
        server_context(*written(tmp_path, authority, b"secret"), authority.certificate_pem)


async def test_a_renewed_certificate_is_taken_up_and_a_broken_one_is_not(
    tmp_path: Path, authority: CertificateAuthority
) -> None:
    certificate, key = written(tmp_path, authority)
    settings = Settings(state_dir=tmp_path, listen_port=0, tls_cert_file=certificate, tls_key_file=key)
    _, listeners = open_listeners(settings)
    [listener] = listeners
    turns: asyncio.Queue[None] = asyncio.Queue()

    async def turn(_seconds: float) -> None:
        await turns.get()

    following = asyncio.create_task(follow_certificate(settings, listeners, turn))
    assert listener.tls is not None
    first = await shown(listener.tls, authority)
    old = certificate.stat().st_mtime
    certificate.write_text("broken")
    await moved(turns)
    assert await shown(listener.tls, authority) == first
    written(tmp_path, authority)
    os.utime(certificate, (old + 10, old + 10))
    await moved(turns)
    assert await shown(listener.tls, authority) != first
    following.cancel()
    listener.socket.close()


async def test_clients_of_a_new_authority_are_let_in_without_a_restart(
    tmp_path: Path, authority: CertificateAuthority
) -> None:
    certificate, key = written(tmp_path, authority)
    settings = Settings(state_dir=tmp_path, listen_port=0, tls_cert_file=certificate, tls_key_file=key)
    _, [listener] = open_listeners(settings)
    assert listener.tls is not None
    turns: asyncio.Queue[None] = asyncio.Queue()
    following = asyncio.create_task(follow_certificate(settings, [listener], lambda _seconds: turns.get()))
    await moved(turns)
    assert len(listener.tls.get_ca_certs()) == 1
    authorities_of(settings).rotate(time.time())
    await moved(turns)
    assert len(listener.tls.get_ca_certs()) == 2
    settings.resolved_authority_file.write_bytes(b"broken")
    await moved(turns)
    assert len(listener.tls.get_ca_certs()) == 2
    following.cancel()
    listener.socket.close()


async def moved(turns: "asyncio.Queue[None]") -> None:
    turns.put_nowait(None)
    await asyncio.sleep(0.3)


async def shown(serving: ssl.SSLContext, authority: CertificateAuthority) -> bytes | None:
    """Return the certificate that a server of this context shows."""
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0, ssl=serving)
    client = ssl.create_default_context(cadata=authority.certificate_pem)
    _, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2], ssl=client)
    found: bytes | None = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    server.close()
    return found


def test_tls_may_be_the_only_one(tmp_path: Path) -> None:
    state = Path(tempfile.mkdtemp(prefix="ztfm-"))
    own = authorities_of(Settings(state_dir=state)).open(time.time()).signing(time.time())
    certificate, key = written(tmp_path, own)
    settings = Settings(state_dir=state, listen_port=0, tls_cert_file=certificate, tls_key_file=key)
    bound, listeners = open_listeners(settings)
    try:
        assert [listener.tls is not None for listener in listeners] == [True]
        assert bound.resolved_public_url == bound.resolved_tls_public_url == f"https://127.0.0.1:{bound.listen_port}"
    finally:
        for listener in listeners:
            listener.socket.close()


def test_a_listener_that_cannot_be_had_leaves_none_open(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    port = free_port()
    with pytest.raises(ListenError):
        open_listeners(Settings(state_dir=tmp_path, listen_port=port, listen_socket=tmp_path / "taken"))
    socket.create_server(("127.0.0.1", port)).close()


def test_a_metrics_token_that_everybody_can_read_or_guess_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("x" * 40)
    path.chmod(0o644)
    with pytest.raises(ListenError, match="everybody"), running(metrics_token_file=path):
        pass
    path.chmod(0o640)
    path.write_text("short")
    with pytest.raises(ListenError, match="at least"), running(metrics_token_file=path):
        pass
    path.write_text("a-token-that-is-long-enough\n")
    with running(metrics_token_file=path) as plane:
        assert plane.services.access.metrics_token == "a-token-that-is-long-enough"
        shown = {"Authorization": "Bearer a-token-that-is-long-enough"}
        assert plane.call("GET", "/metrics", headers=shown).status == 200
        assert plane.call("GET", "/metrics", headers={"Authorization": shown["Authorization"] + "x"}).status == 401
        assert plane.call("POST", "/v1/rounds", {}, headers=shown).status == 401


def test_a_certificate_that_another_key_is_for_leaves_the_one_before(
    tmp_path: Path, authority: CertificateAuthority
) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    (certificate, key), (another, _) = written(tmp_path / "one", authority), written(tmp_path / "other", authority)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load_certificate(context, certificate, key)
    with pytest.raises(ListenError):
        load_certificate(context, another, key)
    client = ssl.create_default_context()
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    ours, theirs = socket.socketpair()
    with ThreadPoolExecutor() as pool:
        shown = pool.submit(context.wrap_socket, ours, server_side=True)
        with client.wrap_socket(theirs) as spoken, shown.result(timeout=10):
            assert spoken.version() == "TLSv1.3"
