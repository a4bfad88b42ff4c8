"""Envoy's gRPC: questions of a real client, and of the real Envoy before a real upstream."""

import asyncio
import stat
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import grpc
import pytest
import yaml
from aiohttp import web
from cryptography.hazmat.primitives.serialization import Encoding

from adapters.gateway.authorizing import Answer, Authorizer
from adapters.gateway.envoy_grpc import MAX_BYTES, EnvoyAuthorizer, answer_of, asked_of
from adapters.gateway.envoy_messages import METHOD, SERVICE, CheckRequest, CheckResponse
from adapters.gateway.passing import REMOVED_HEADERS
from adapters.mutual import mutual_tls
from adapters.web import EnforcementPoint
from adapters.web.presented import Asked
from controlplane.capabilities.certificates import certificate_thumbprint
from controlplane.capabilities.proof import make_proof
from controlplane.identifiers.spiffe import TrustDomain, device_spiffe_id
from controlplane.identity.authority import CertificateAuthority
from controlplane.jose.keys import DeviceKey, SigningKey, load_public
from tests.adapters.web.conftest import AUDIENCE, PUBLIC_URL, RULES, Issuer, publishing
from tests.adapters.web.test_certificates import DOMAIN, Tls, status
from tests.clocks import START, Clock
from tests.servers.debian import NotInstalled
from tests.servers.envoy import envoy
from tests.servers.ports import free_port

EXAMPLE = Path(__file__).parents[3] / "examples" / "gateway" / "envoy-grpc" / "envoy.yaml"

Headers = list[tuple[str, str]]
SIZED = ("content-length", "3")


@dataclass
class Gateway:
    """An authorizer that listens, and a device that holds a capability for it."""

    address: str
    authorizer: EnvoyAuthorizer
    point: EnforcementPoint
    issuer: Issuer
    device: DeviceKey = field(default_factory=DeviceKey.generate)

    def shown(self, path: str = "/v1/infer", method: str = "POST", **changes: Any) -> Headers:
        """Return the headers of a holder."""
        token = self.issuer.mint(self.device, **changes)
        stated = {"url": PUBLIC_URL + path, "now": self.issuer.clock(), "access_token": token}
        return [("authorization", f"DPoP {token}"), ("dpop", make_proof(self.device, method=method, **stated))]

    async def ask(self, question: Any) -> Any:
        """Ask as Envoy does."""
        async with grpc.aio.insecure_channel(self.address) as channel:
            call = channel.unary_unary(f"/{SERVICE}/{METHOD}", CheckRequest.SerializeToString, CheckResponse.FromString)
            return await call(question, timeout=10)


@asynccontextmanager
async def authorizing(**options: Any) -> AsyncIterator[Gateway]:
    async with publishing(Clock()) as issuer:
        clock = issuer.clock
        point = EnforcementPoint(
            issuer.url,
            audience=AUDIENCE,
            public_url=PUBLIC_URL,
            rules=RULES,
            exempt={"/healthz"},
            clock=clock,
            **options,
        )
        authorizer = EnvoyAuthorizer(Authorizer(point, keeps=("detail",)))
        await point.start()
        try:
            yield Gateway(await authorizer.start("127.0.0.1:0"), authorizer, point, issuer)
        finally:
            await authorizer.close()
            await point.close()


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    async with authorizing() as found:
        yield found


def question(headers: Headers, path: str = "/v1/infer", method: str = "POST", *, raw: bool = True) -> Any:
    """Return what Envoy asks about a request."""
    asked = CheckRequest()
    http = asked.attributes.request.http
    http.method, http.path, http.protocol = method, path, "HTTP/1.1"
    for name, value in headers:
        if raw:
            http.header_map.headers.add(key=name, raw_value=value.encode())
        else:
            http.headers.add(key=name, value=value)
    return asked


@pytest.mark.parametrize("raw", [True, False])
async def test_a_holder_passes_and_the_upstream_learns_who_it_is_but_not_its_capability(
    gateway: Gateway, raw: bool
) -> None:
    answer = await gateway.ask(question([*gateway.shown(), SIZED], "/v1/infer?x=1", raw=raw))
    assert answer.status.code == 0
    told = {one.header.key: one.header.value for one in answer.ok_response.headers}
    assert told["ztfm-subject"] == f"dev-{gateway.device.thumbprint}"
    assert {one.append_action for one in answer.ok_response.headers} == {2}
    assert {"authorization", "dpop"} <= set(answer.ok_response.headers_to_remove)


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"headers": []}, 401, 16),
        ({"path": "/v1/other"}, 404, 7),
        ({"path": "/v1/../v1/infer"}, 400, 7),
        ({"method": "DELETE"}, 405, 7),
        ({"action": "model_access"}, 403, 7),
        ({"twice": "authorization"}, 400, 7),
        ({"twice": "dpop"}, 400, 7),
        ({"path": "v1/infer"}, 400, 7),
        ({"path": "/v1/infer?x#y"}, 400, 7),
        ({"sized": [SIZED, ("transfer-encoding", "chunked")]}, 411, 7),
        ({"sized": [SIZED, SIZED]}, 411, 7),
        ({"sized": [("content-length", "1001")]}, 413, 7),
        ({"sized": []}, 411, 7),
    ],
)
async def test_what_does_not_hold_is_denied_with_a_status_that_says_why(
    gateway: Gateway, changes: dict[str, Any], status: int, code: int
) -> None:
    shown = gateway.shown(action=changes.get("action", "inference"))
    headers = changes.get("headers", [*shown, *(pair for pair in shown if pair[0] == changes.get("twice"))])
    headers = [*headers, *changes.get("sized", [SIZED])]
    asked = {name: changes[name] for name in ("path", "method") if name in changes}
    answer = await gateway.ask(question(headers, **asked))
    assert (answer.denied_response.status.code, answer.status.code) == (status, code)
    assert not answer.HasField("ok_response")
    assert shown[0][1].removeprefix("DPoP ") not in str(answer)


async def test_headers_that_envoy_merged_are_not_taken_for_one(gateway: Gateway) -> None:
    shown = dict(gateway.shown())
    merged = [SIZED, ("authorization", f"{shown['authorization']},{shown['authorization']}"), ("dpop", shown["dpop"])]
    answer = await gateway.ask(question(merged, raw=False))
    assert answer.denied_response.status.code == 400


async def test_values_in_both_forms_of_headers_are_ambiguous(gateway: Gateway) -> None:
    asked = question([*gateway.shown(), SIZED])
    for name, value in gateway.shown():
        asked.attributes.request.http.headers.add(key=name, value=value)
    assert (await gateway.ask(asked)).denied_response.status.code == 400


async def test_a_question_without_a_request_is_denied(gateway: Gateway) -> None:
    answer = await gateway.ask(CheckRequest())
    assert (answer.denied_response.status.code, answer.status.code) == (400, 7)


async def test_a_proof_is_worth_one_question(gateway: Gateway) -> None:
    asked = question([*gateway.shown(), SIZED])
    answers = await asyncio.gather(*(gateway.ask(asked) for _ in range(8)))
    assert sorted(answer.status.code for answer in answers)[:2] == [0, 16]


async def test_what_is_no_message_gets_no_answer(gateway: Gateway) -> None:
    async with grpc.aio.insecure_channel(gateway.address) as channel:
        call = channel.unary_unary(f"/{SERVICE}/{METHOD}")
        for sent in (b"\x0a\xff", b"\x0a\x06\x22\x04\x12\x02\x12\x05"):
            with pytest.raises(grpc.aio.AioRpcError):
                await call(sent, timeout=10)


async def test_a_question_that_is_too_large_gets_no_answer(gateway: Gateway) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await gateway.ask(question([*gateway.shown(), SIZED, ("x-large", "w" * MAX_BYTES)]))
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("taken", [True, False])
async def test_certificates_reach_the_authorizer_only_where_the_option_says_so(taken: bool) -> None:
    asked: list[Any] = []

    class Remembering:
        async def authorize(self, one: Any) -> Answer:
            asked.append(one)
            return Answer(403)

    remembering: Any = Remembering()
    envoy = EnvoyAuthorizer(remembering, takes_certificates=taken, clock=lambda: START + 1)
    address = await envoy.start("127.0.0.1:0")
    stated = question([])
    stated.attributes.source.certificate, thumbprint = certified()
    async with grpc.aio.insecure_channel(address) as channel:
        call = channel.unary_unary(f"/{SERVICE}/{METHOD}", CheckRequest.SerializeToString, CheckResponse.FromString)
        await call(stated, timeout=10)
    await envoy.close()
    assert asked[0].certificate == (thumbprint if taken else None)


def certified() -> tuple[str, str]:
    """Return a certificate as Envoy tells of it, and its thumbprint."""
    authority = CertificateAuthority.create(TrustDomain("homes.example"), START)
    name = device_spiffe_id(TrustDomain("homes.example"), "dev-1")
    made = authority.issue_svid(name, load_public(DeviceKey.generate().public), START)
    return quote(made.public_bytes(Encoding.PEM).decode()), certificate_thumbprint(made.public_bytes(Encoding.DER))


def test_a_query_is_counted_and_is_no_part_of_the_path() -> None:
    found = asked_of(question([SIZED], "/v1/infer?prompt=hello"), None)
    assert isinstance(found, Asked)
    assert (found.path, found.query_bytes) == ("/v1/infer", 12)


def test_a_client_certificate_counts_until_it_expires() -> None:
    asked = question([])
    asked.attributes.source.certificate, thumbprint = certified()

    def taken(now: float | None) -> str | None:
        found = asked_of(asked, now)
        assert isinstance(found, Asked)
        return found.certificate

    assert taken(START + 1) == thumbprint
    assert taken(START + 30 * 86_400) is None
    assert taken(None) is None
    asked.attributes.source.certificate = "nonsense"
    assert taken(START + 1) is None


def test_a_denial_is_never_the_empty_message_that_envoy_lets_pass() -> None:
    denied = answer_of(Answer(503))
    assert (denied.status.code, denied.denied_response.status.code) == (14, 503)
    assert answer_of(Answer(302)).status.code == 7


def test_where_nothing_is_said_under_a_name_what_a_client_sent_under_it_goes() -> None:
    allowed = answer_of(Answer(200, {"Ztfm-Subject": "dev-1", "Ztfm-Detail": ""})).ok_response
    assert [one.header.key for one in allowed.headers] == ["ztfm-subject"]
    assert set(allowed.headers_to_remove) == {"ztfm-detail", *(name.lower() for name in REMOVED_HEADERS)}


async def test_it_listens_nowhere_else_without_tls(gateway: Gateway) -> None:
    with pytest.raises(ValueError, match="neither loopback nor a Unix socket"):
        await EnvoyAuthorizer(Authorizer(gateway.point, keeps=("detail",))).start("0.0.0.0:0")


async def test_it_listens_on_a_unix_socket(gateway: Gateway, tmp_path: Path) -> None:
    authorizer = EnvoyAuthorizer(Authorizer(gateway.point, keeps=("detail",)))
    gateway.address = await authorizer.start(f"unix:{tmp_path / 'envoy.sock'}")
    assert (await gateway.ask(question([*gateway.shown(), SIZED]))).status.code == 0
    assert stat.S_IMODE((tmp_path / "envoy.sock").stat().st_mode) == 0o660
    await authorizer.close()


@dataclass
class Behind:
    """Envoy's port, and what came through to the model server."""

    port: int
    gateway: Gateway
    seen: list[dict[str, list[str]]]

    async def send(
        self, headers: Headers, target: str = "/v1/infer", body: bytes = b"abc", method: str = "POST"
    ) -> tuple[int, bytes]:
        """Send bytes as they stand; return the status and everything that came."""
        names = {name.lower() for name, _ in headers}
        sized = [] if names & {"transfer-encoding"} else [("content-length", str(len(body)))]
        lines = [f"{method} {target} HTTP/1.1", "host: models.example", "connection: close"]
        lines += [f"{name}: {value}" for name, value in [*headers, *sized]]
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        async with asyncio.timeout(10):
            answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return int(answer.split()[1]), answer


@contextmanager
def before(gateway: Gateway, upstream: int, folder: Path) -> Iterator[int]:
    """Run Envoy with the example's configuration, on ports of this test."""
    text, listens = EXAMPLE.read_text(), free_port()
    ports = {"8080": listens, "9000": upstream, "9191": gateway.address.rpartition(":")[2]}
    for stated, taken in ports.items():
        assert text.count(f"port_value: {stated}}}") == 1
        text = text.replace(f"port_value: {stated}}}", f"port_value: {taken} }}")
    written = folder / "envoy.yaml"
    written.write_text(text)
    with envoy(written, listens):
        yield listens


@asynccontextmanager
async def proxied(folder: Path) -> AsyncIterator[Behind]:
    seen: list[dict[str, list[str]]] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append({name.lower(): request.headers.getall(name) for name in request.headers})
        return web.Response(body=await request.read())

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with authorizing() as gateway:
            running = before(gateway, runner.addresses[0][1], folder)
            try:
                port = await asyncio.to_thread(running.__enter__)
            except NotInstalled as missing:
                pytest.skip(str(missing))
            try:
                yield Behind(port, gateway, seen)
            finally:
                await asyncio.to_thread(running.__exit__, None, None, None)
    finally:
        await runner.cleanup()


async def test_the_real_envoy_lets_holders_through_and_nobody_else(tmp_path: Path) -> None:
    async with proxied(tmp_path) as behind:
        gateway, seen = behind.gateway, behind.seen
        forged = ("ztfm-subject", "dev-somebody-else")
        status, answer = await behind.send([*gateway.shown(), forged, ("x-kept", "yes")])
        assert status == 200 and answer.endswith(b"abc")
        assert seen[0]["ztfm-subject"] == [f"dev-{gateway.device.thumbprint}"]
        assert seen[0]["x-kept"] == ["yes"]
        assert not seen[0].keys() & {"authorization", "dpop"}

        used = gateway.shown()
        assert (await behind.send(used))[0] == 200
        attacks: dict[str, tuple[Headers, str, bytes, int]] = {
            "nothing": ([], "/v1/infer", b"", 401),
            "used proof": (used, "/v1/infer", b"", 401),
            "two capabilities": ([*gateway.shown(), gateway.shown()[0]], "/v1/infer", b"", 400),
            "another path": (gateway.shown(), "/v1/other", b"", 404),
            "dot segments": (gateway.shown(), "/x/../v1/infer", b"", 400),
            "escaped slash": (gateway.shown(), "/v1%2finfer", b"", 400),
            "two slashes": (gateway.shown(), "//v1/infer", b"", 400),
            "chunked": ([*gateway.shown(), ("transfer-encoding", "chunked")], "/v1/infer", b"0\r\n\r\n", 411),
            "too large": (gateway.shown(), "/v1/infer", b"w" * 1001, 413),
            "underscores": ([*gateway.shown(), ("ztfm_subject", "x")], "/v1/infer", b"", 400),
        }
        for name, (headers, target, body, expected) in attacks.items():
            status, answer = await behind.send(headers, target, body)
            assert status == expected, (name, answer)
        chunked: Headers = [("transfer-encoding", "chunked")]
        status, _ = await behind.send(chunked, "/healthz", b"5\r\nhello\r\n0\r\n\r\n", "GET")
        assert status == 413, "a body that nobody counted"
        assert len(seen) == 2


async def test_the_real_envoy_lets_nothing_through_when_the_authorizer_fails_or_is_away(tmp_path: Path) -> None:
    async with proxied(tmp_path) as behind:
        assert (await behind.send(behind.gateway.shown()))[0] == 200
        behind.gateway.point.check = failing  # type: ignore[method-assign]
        assert (await behind.send(behind.gateway.shown()))[0] == 503
        await behind.gateway.authorizer.close(0)
        assert (await behind.send(behind.gateway.shown()))[0] == 503
        assert len(behind.seen) == 1


async def failing(*_asked: object) -> Any:
    raise RuntimeError("broken")


def with_tls(text: str, folder: Path, authority: CertificateAuthority) -> str:
    """Return the example with TLS at its listener, for clients with certificates, which Envoy tells of."""
    key = SigningKey.generate()
    made = authority.issue_server(["127.0.0.1"], load_public(key.public), time.time())
    (folder / "server.pem").write_bytes(key.to_pem() + made.public_bytes(Encoding.PEM))
    (folder / "authority.pem").write_text(authority.certificate_pem)
    document = yaml.safe_load(text)
    [chain] = document["static_resources"]["listeners"][0]["filter_chains"]
    filters = {one["name"]: one["typed_config"] for one in chain["filters"][0]["typed_config"]["http_filters"]}
    filters["envoy.filters.http.ext_authz"]["include_peer_certificate"] = True
    own = {"filename": str(folder / "server.pem")}
    chain["transport_socket"] = {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "require_client_certificate": True,
            "common_tls_context": {
                "tls_certificates": [{"certificate_chain": own, "private_key": own}],
                "validation_context": {"trusted_ca": {"filename": str(folder / "authority.pem")}},
            },
        },
    }
    return yaml.safe_dump(document)


async def test_the_real_envoy_tells_of_the_certificate_that_a_capability_is_bound_to(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        issuer = await stack.enter_async_context(publishing(Clock(time.time())))
        tls = Tls(issuer, CertificateAuthority.create(DOMAIN, time.time()), DeviceKey.generate())
        point = tls.point()
        stack.push_async_callback(point.close)
        await point.start()
        authorizer = EnvoyAuthorizer(Authorizer(point, keeps=("detail",)), takes_certificates=True)
        address = await authorizer.start("127.0.0.1:0")
        stack.push_async_callback(authorizer.close)
        port = free_port()
        text = EXAMPLE.read_text().replace("port_value: 8080}", f"port_value: {port} }}")
        text = text.replace("port_value: 9191}", f"port_value: {address.rpartition(':')[2]} }}")
        text = text.replace("port_value: 9000}", f"port_value: {await answering(stack)} }}")
        written = tmp_path / "envoy.yaml"
        written.write_text(with_tls(text, tmp_path, tls.authority))
        try:
            stack.enter_context(envoy(written, port))
        except NotInstalled as missing:
            pytest.skip(str(missing))
        mine, thief = tls.issued(), DeviceKey.generate()
        url, token = f"https://127.0.0.1:{port}/v1/infer", tls.capability(mine.thumbprint)
        assert await status(url, mutual_tls(tls.device, mine), token) == 200
        assert await status(url, mutual_tls(thief, tls.issued(thief)), token) == 401


async def answering(stack: AsyncExitStack) -> int:
    """Run a model server."""

    async def answer(_request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(text="answered")

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return int(runner.addresses[0][1])
