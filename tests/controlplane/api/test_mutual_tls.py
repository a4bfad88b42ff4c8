"""Mutual TLS with real handshakes: another way to prove the enrolled key, and nothing more."""

import datetime
import json
import socket
import ssl
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from typer.testing import CliRunner

from adapters.mutual import mutual_tls
from adapters.plane import ControlPlane as Client
from controlplane.api import connections
from controlplane.capabilities.refusals import Refused
from controlplane.capabilities.verification import CapabilityVerifier
from controlplane.cli.commands import app as command_line
from controlplane.contracts.access import InferenceSize, Resource
from controlplane.contracts.capability import CapabilityClaims, CapabilityContext
from controlplane.contracts.identity import IssuedCertificate
from controlplane.identifiers.spiffe import SpiffeId, TrustDomain, device_spiffe_id
from controlplane.identity.authority import CertificateAuthority
from controlplane.jose.jws import parse, parse_object
from controlplane.jose.keys import DeviceKey, load_public
from tests.clocks import EarlyClock
from tests.support import MODEL, Caller, ControlPlane, running

ASKED = {
    "action": "inference",
    "resource": {"type": "model", "id": MODEL},
    "audience": "gateway-1",
    "context": {"inference": {"prompt_tokens": 1, "max_output_tokens": 1}},
}


@pytest.fixture(scope="module")
def clock() -> EarlyClock:
    return EarlyClock()


@pytest.fixture(scope="module")
def secure(clock: EarlyClock) -> Iterator[ControlPlane]:
    """A control plane that serves TLS beside plain HTTP, with certificates as the command makes them."""
    with tempfile.TemporaryDirectory(prefix="ztfm-") as folder:
        made = CliRunner().invoke(
            command_line, ["tls", "init", "--host", "127.0.0.1", "--host", "localhost", "--state-dir", folder, "--json"]
        )
        files = json.loads(made.stdout)
        with running(
            state=Path(folder),
            clock=clock,
            tls_cert_file=files["ZTFM_TLS_CERT_FILE"],
            tls_key_file=files["ZTFM_TLS_KEY_FILE"],
            tls_port=0,
        ) as plane:
            yield plane


@pytest.fixture
def device(secure: ControlPlane) -> Caller:
    return secure.enrol("consumer")


def certificate(device: Caller, **changes: Any) -> IssuedCertificate:
    issued = device.post("/v1/certificates", changes).expect(201)
    return IssuedCertificate.model_validate(issued)


def authority(plane: ControlPlane) -> CertificateAuthority:
    return plane.services.access.authorities.read().signing(time.time())


def named(identifier: str) -> SpiffeId:
    return device_spiffe_id(TrustDomain("default"), identifier)


class Line:
    """One TLS connection over which several requests go."""

    def __init__(self, plane: ControlPlane, context: ssl.SSLContext) -> None:
        port = int(plane.services.access.tls_url.rpartition(":")[2])
        raw = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._tls = context.wrap_socket(raw, server_hostname="127.0.0.1")

    def ask(self, method: str, path: str, document: Any = None, **headers: str) -> tuple[int, Any]:
        body = b"" if document is None else json.dumps(document).encode()
        lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
        lines += ["Content-Type: application/json"] if body else []
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._tls.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        head = b""
        while b"\r\n\r\n" not in head:
            chunk = self._tls.recv(65_536)
            if not chunk:
                raise ConnectionError("closed")
            head += chunk
        top, _, rest = head.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in top.decode().split("\r\n")[1:])
        while len(rest) < int(fields.get("Content-Length", 0)):
            rest += self._tls.recv(65_536)
        return int(top.split()[1]), json.loads(rest) if rest.startswith(b"{") else rest

    def close(self) -> None:
        self._tls.close()


def claims_of(capability: Any) -> CapabilityClaims:
    parsed = parse(capability["access_token"])
    assert parsed is not None
    return CapabilityClaims.model_validate(parse_object(parsed.payload))


def plain_context(plane: ControlPlane) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.load_verify_locations(cadata=authority(plane).certificate_pem)
    return context


def with_chain(plane: ControlPlane, folder: Path, pem: bytes) -> ssl.SSLContext:
    context = plain_context(plane)
    (folder / "client.pem").write_bytes(pem)
    context.load_cert_chain(folder / "client.pem")
    return context


def test_a_certificate_of_the_enrolled_key_needs_no_proof(secure: ControlPlane, device: Caller) -> None:
    issued = certificate(device)
    with closing(Line(secure, mutual_tls(device.key, issued))) as line:
        status, capability = line.ask("POST", "/v1/capabilities", ASKED)
    assert status == 201
    assert capability["token_type"] == "Bearer"
    confirmed = claims_of(capability).cnf
    assert (confirmed.x5t, confirmed.jkt) == (issued.thumbprint, None)


def test_what_is_bound_to_a_certificate_holds_with_it_alone(secure: ControlPlane, device: Caller) -> None:
    issued, another = certificate(device), certificate(device)
    with closing(Line(secure, mutual_tls(device.key, issued))) as line:
        token = line.ask("POST", "/v1/capabilities", ASKED)[1]["access_token"]
    keys = secure.call("GET", "/.well-known/jwks.json").json
    verifier = CapabilityVerifier(keys, secure.url, "gateway-1", secure.clock)
    held = {"proof": None, "method": "POST", "url": "https://gateway-1/", "action": "inference"}
    assert isinstance(verifier.verify(token, certificate=issued.thumbprint, **held), CapabilityClaims)  # type: ignore[arg-type]
    for shown, cause in (
        (None, "certificate_missing"),
        (another.thumbprint, "wrong_certificate"),
        ("", "wrong_certificate"),
    ):
        refused = verifier.verify(token, certificate=shown, **held)  # type: ignore[arg-type]
        assert isinstance(refused, Refused)
        assert refused.cause == cause


def test_the_sdk_speaks_it_in_two_lines(secure: ControlPlane, device: Caller) -> None:
    async def ask() -> str:
        async with Client(secure.url, device.key) as plane:
            context = mutual_tls(device.key, await plane.certificate())
        async with Client(secure.services.access.tls_url, device.key, tls=context, proofs=False) as over_tls:
            size = CapabilityContext(inference=InferenceSize(prompt_tokens=1, max_output_tokens=1))
            granted = await over_tls.capability("inference", Resource(type="model", id=MODEL), "gateway-1", size)
            return granted.require().token_type

    import asyncio

    assert asyncio.run(ask()) == "Bearer"


def test_without_a_certificate_the_proof_must_name_the_tls_url(secure: ControlPlane, device: Caller) -> None:
    tls_url = secure.services.access.tls_url
    with closing(Line(secure, plain_context(secure))) as line:
        assert line.ask("POST", "/v1/capabilities", ASKED)[0] == 401
        proof = secure.proof(device.key, "POST", "/v1/capabilities", url=f"{tls_url}/v1/capabilities")
        status, capability = line.ask("POST", "/v1/capabilities", ASKED, DPoP=proof)
        assert (status, capability["token_type"]) == (201, "DPoP")
        elsewhere = secure.proof(device.key, "POST", "/v1/capabilities")
        assert line.ask("POST", "/v1/capabilities", ASKED, DPoP=elsewhere)[0] == 401
    foreign = secure.proof(device.key, "POST", "/v1/capabilities", url=f"{tls_url}/v1/capabilities")
    assert secure.call("POST", "/v1/capabilities", ASKED, proof=foreign).status == 401


def test_a_proof_beside_a_certificate_speaks_for_itself(secure: ControlPlane, device: Caller) -> None:
    url = f"{secure.services.access.tls_url}/v1/capabilities"
    context = mutual_tls(device.key, certificate(device))
    with closing(Line(secure, context)) as line:
        proof = secure.proof(device.key, "POST", "/v1/capabilities", url=url)
        status, capability = line.ask("POST", "/v1/capabilities", ASKED, DPoP=proof)
        assert (status, claims_of(capability).cnf.jkt) == (201, device.key.thumbprint)
        assert line.ask("POST", "/v1/capabilities", ASKED, DPoP=proof)[0] == 401, "a replay is none the better for it"
        assert line.ask("POST", "/v1/capabilities", ASKED, Authorization="Bearer x")[0] == 401


def test_a_revoked_device_is_shut_out_on_the_connection_that_it_has(secure: ControlPlane) -> None:
    device, boss = secure.enrol("consumer"), secure.enrol("administrator")
    with closing(Line(secure, mutual_tls(device.key, certificate(device)))) as line:
        assert line.ask("POST", "/v1/capabilities", ASKED)[0] == 201
        boss.post(f"/v1/devices/{device.id}/status", {"status": "revoked", "reason": "stolen"}).expect(200)
        assert line.ask("POST", "/v1/capabilities", ASKED)[0] == 403
        assert line.ask("POST", "/v1/certificates", {})[0] == 403


def test_a_certificate_that_expires_ends_what_its_connection_is_worth(
    secure: ControlPlane, device: Caller, clock: EarlyClock
) -> None:
    context = mutual_tls(device.key, certificate(device, lifetime_seconds=300.0))
    with closing(Line(secure, context)) as line:
        assert line.ask("POST", "/v1/capabilities", ASKED)[0] == 201
        clock.ahead = 301.0
        try:
            assert line.ask("POST", "/v1/capabilities", ASKED)[0] == 401
        finally:
            clock.ahead = 0.0


def test_a_strangers_certificate_is_a_strangers(secure: ControlPlane, tmp_path: Path) -> None:
    key = DeviceKey.generate()
    signed = authority(secure).issue_svid(named("dev-anybody"), load_public(key.public), time.time())
    with closing(Line(secure, with_chain(secure, tmp_path, key.to_pem() + signed.public_bytes(Encoding.PEM)))) as line:
        before = secure.metric("ztfm_capabilities_refused_total", cause="unknown_key")
        assert line.ask("POST", "/v1/capabilities", ASKED)[0] == 401
    assert secure.metric("ztfm_capabilities_refused_total", cause="unknown_key") == before + 1


def test_the_name_in_a_certificate_is_worth_nothing(secure: ControlPlane, device: Caller, tmp_path: Path) -> None:
    key = DeviceKey.generate()
    forged = authority(secure).issue_svid(named(device.id), load_public(key.public), time.time())
    with closing(Line(secure, with_chain(secure, tmp_path, key.to_pem() + forged.public_bytes(Encoding.PEM)))) as line:
        assert line.ask("POST", "/v1/capabilities", ASKED)[0] == 401


def test_a_certificate_of_another_key_than_the_enrolled_one_says_nothing_here(
    secure: ControlPlane, device: Caller, tmp_path: Path
) -> None:
    key = DeviceKey.generate()
    asked = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key._private, hashes.SHA256())
    issued = certificate(device, csr=asked.public_bytes(Encoding.PEM).decode())
    context = with_chain(secure, tmp_path, key.to_pem() + issued.certificate.encode())
    with closing(Line(secure, context)) as line:
        assert line.ask("POST", "/v1/capabilities", ASKED)[0] == 401
        assert line.ask("POST", "/v1/certificates", {})[0] == 401


def test_a_key_of_another_kind_is_refused(secure: ControlPlane, tmp_path: Path) -> None:
    key = rsa.generate_private_key(65_537, 2048)
    signer = authority(secure)
    now = datetime.datetime.now(datetime.UTC)
    own = signer.certificate.public_key()
    assert isinstance(own, EllipticCurvePublicKey)
    odd = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(signer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier("urn:x")]), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(own), critical=False)
        .sign(signer._key, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + odd.public_bytes(Encoding.PEM)
    with closing(Line(secure, with_chain(secure, tmp_path, pem))) as line:
        assert line.ask("POST", "/v1/capabilities", ASKED)[0] == 401


def is_refused(plane: ControlPlane, context: ssl.SSLContext) -> bool:
    """Whether the handshake fails; with TLS 1.3 a client sees that with its first read."""
    try:
        with closing(Line(plane, context)) as line:
            line.ask("GET", "/livez")
    except (ssl.SSLError, ConnectionError):
        return True
    return False


def test_a_certificate_of_another_authority_ends_the_handshake(
    secure: ControlPlane, device: Caller, tmp_path: Path
) -> None:
    other = CertificateAuthority.create(TrustDomain("default"), time.time())
    forged = other.issue_svid(named(device.id), load_public(device.key.public), time.time())
    pem = device.key.to_pem() + forged.public_bytes(Encoding.PEM)
    assert is_refused(secure, with_chain(secure, tmp_path, pem))


def test_an_expired_certificate_ends_the_handshake(secure: ControlPlane, device: Caller, tmp_path: Path) -> None:
    old = authority(secure).issue_svid(named(device.id), load_public(device.key.public), time.time() - 3600, 600.0)
    assert is_refused(secure, with_chain(secure, tmp_path, device.key.to_pem() + old.public_bytes(Encoding.PEM)))


def test_the_servers_own_certificate_is_no_clients(secure: ControlPlane) -> None:
    context = plain_context(secure)
    context.load_cert_chain(secure.state / "tls" / "server.pem", secure.state / "tls" / "server-key.pem")
    assert is_refused(secure, context)


def test_a_workloads_certificate_does_not_stand_for_the_control_plane(
    secure: ControlPlane, device: Caller, tmp_path: Path
) -> None:
    issued = certificate(device)
    (tmp_path / "server.pem").write_bytes(device.key.to_pem() + issued.certificate.encode())
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(tmp_path / "server.pem")
    into_client, into_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = plain_context(secure).wrap_bio(into_client, into_server, server_hostname="127.0.0.1")
    answering = serving.wrap_bio(into_server, into_client, server_side=True)
    with pytest.raises(ssl.SSLWantReadError):
        asking.do_handshake()
    with pytest.raises(ssl.SSLWantReadError):
        answering.do_handshake()
    with pytest.raises(ssl.SSLCertVerificationError, match="not valid for"):
        asking.do_handshake()


def test_older_versions_are_not_spoken(secure: ControlPlane) -> None:
    context = plain_context(secure)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert is_refused(secure, context)


def test_a_connection_is_looked_at_once(secure: ControlPlane, device: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[bytes | None] = []
    read = connections.read_certificate
    monkeypatch.setattr(connections, "read_certificate", lambda der: reads.append(der) or read(der))
    with closing(Line(secure, mutual_tls(device.key, certificate(device)))) as line:
        for _ in range(5):
            assert line.ask("POST", "/v1/capabilities", ASKED)[0] == 201
    assert len(reads) == 1


def test_the_rate_of_a_certificate_is_its_holders(clock: EarlyClock) -> None:
    from controlplane.api.services import EdgeLimits

    with tempfile.TemporaryDirectory(prefix="ztfm-") as folder:
        made = CliRunner().invoke(command_line, ["tls", "init", "--host", "127.0.0.1", "--state-dir", folder, "--json"])
        files = json.loads(made.stdout)
        limits = EdgeLimits(rate=0.001, burst=3, stranger_rate=1e6, stranger_burst=1e6)
        tls: dict[str, Any] = {"tls_port": 0, "tls_cert_file": files["ZTFM_TLS_CERT_FILE"]}
        tls["tls_key_file"] = files["ZTFM_TLS_KEY_FILE"]
        with running(state=Path(folder), clock=clock, limits=limits, **tls) as plane:
            device = plane.enrol("consumer")
            with closing(Line(plane, mutual_tls(device.key, certificate(device)))) as line:
                found = [line.ask("POST", "/v1/capabilities", ASKED)[0] for _ in range(4)]
    assert found[-1] == 429
    assert 201 in found
