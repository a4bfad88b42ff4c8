"""Real proxies with the configurations of the examples, before an upstream that remembers what it saw."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from adapters.gateway.passing import REMOVED_HEADERS
from controlplane.capabilities.proof import make_proof
from tests.adapters.gateway.lab import PUBLIC_URL, Lab, behind, is_told
from tests.adapters.gateway.proxied import ENSURE, RUNS, run_caddy
from tests.servers.caddy import ensure_caddy
from tests.servers.debian import NotInstalled

SPOOFED = [
    ("X-Original-URI", "/healthz"),
    ("X-Original-Method", "GET"),
    ("X-Original-Body", "/"),
    ("X-Forwarded-Uri", "/healthz"),
    ("X-Forwarded-Method", "GET"),
    ("X-Forwarded-Host", "evil.example"),
    ("Client-Cert", "::"),
    ("Client-Cert-Verified", "SUCCESS"),
]
NAMES = ["Ztfm-Subject", "ztfm-subject", "ZTFM-SUBJECT", "Ztfm_Subject", "ztfm_subject", "Ztfm-Decision", "Ztfm_Detail"]

TARGETS = [
    "/.ztfm/authorize",
    "/v1/gateway/authorize",
    "/healthz/../v1/infer",
    "/healthz/..%2fv1/infer",
    "/healthz%2f..%2fv1/infer",
    "/healthz/%2e%2e/v1/infer",
    "//v1/infer",
    "/v1//infer",
    "/v1/./infer",
    "/%761/infer",
    "/v1%2finfer",
    "/v1/infer/",
    "/v1/infer;x=/healthz",
    "/v1/infer%00",
    "/v1/infer%0d%0aX-Original-URI:%20/healthz",
    "/v1/infer%ff",
    "/V1/infer",
    "/v1\\infer",
    "/v1/infer?x=/healthz",
    "/healthz?/../v1/infer",
    "/healthz#/v1/infer",
    "http://models.example/v1/infer",
    "http://models.example/healthz/../v1/infer",
    "*",
    "healthz",
]

FRAMINGS = [
    "Content-Length: 4\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nContent-Length: 4",
    "Content-Length: 4\r\nTransfer-Encoding: xchunked",
    "Content-Length: 4\r\nTransfer-Encoding : chunked",
    "Content-Length: 4\r\nTransfer-Encoding: chunked, identity",
    "Content-Length: 4\r\nTransfer-Encoding:\x0bchunked",
    "Content-Length: 4\r\nContent-Length: 90",
    "Content-Length: +4",
    "Content-Length: 4, 90",
    "Content-Length: 4\r\n Transfer-Encoding: chunked",
]

BROKEN = [
    b"",
    b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 404 Other\r\nContent-Length: 2\r\n\r\nhi",
    b"HTTP/1.1 200",
    b"nonsense\r\n\r\n",
]


@pytest.fixture(params=["nginx", "caddy", "haproxy", "envoy", "traefik"])
async def lab(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Lab]:
    try:
        await asyncio.to_thread(ENSURE[request.param])
    except NotInstalled as missing:
        pytest.skip(str(missing))
    bound = 900 if request.param == "traefik" else None
    async with behind(request.param, tmp_path, RUNS[request.param], largest_body=bound) as found:
        yield found


async def test_a_holder_reaches_the_upstream_which_is_told_who_asks(lab: Lab) -> None:
    reply = await lab.call(lab.token(), body=b"hello")
    assert (reply.status, reply.body) == (200, b'"answered"'), reply
    [seen] = lab.seen
    assert (seen.method, seen.target, seen.body) == ("POST", "/v1/infer", b"hello")
    assert is_told(seen, lab.device)
    told = {name: seen.values(f"ztfm-{name}") for name in ("action", "resource", "detail", "max-output-tokens")}
    assert told == {
        "action": ["inference"],
        "resource": ["smart-home-intents"],
        "detail": ["full"],
        "max-output-tokens": ["64"],
    }
    assert lab.outcomes == {("inference", "allowed"): 1}


async def test_whoever_shows_nothing_is_told_what_to_show_and_others_why_not(lab: Lab) -> None:
    expected = {
        ("POST", "/v1/infer"): 401,
        ("POST", "/v1/other"): 404,
        ("PUT", "/v1/infer"): 405,
    }
    for (method, path), status in expected.items():
        reply = await lab.send(method, path)
        assert (reply.status, json.loads(reply.body)["status"]) == (status, status), reply
        assert reply.headers["content-type"] == "application/problem+json"
        assert ("www-authenticate" in reply.headers) == (status == 401)
    narrow = await lab.call(lab.token(action="model_access"))
    assert (narrow.status, "another action" in narrow.body.decode()) == (403, True)
    assert lab.seen == []


async def test_the_upstreams_own_words_pass(lab: Lab) -> None:
    for status in (401, 403, 404, 500, 503):
        reply = await lab.send("POST", "/v1/infer", [*lab.shown(lab.token()), ("X-Answer", str(status))])
        assert (reply.status, reply.body) == (status, b'"answered"'), reply


async def test_a_request_cannot_say_of_itself_what_it_is(lab: Lab) -> None:
    for spoofed in SPOOFED:
        assert (await lab.send("POST", "/v1/infer", [spoofed])).status == 401, spoofed
    assert (await lab.send("POST", "/v1/infer", SPOOFED)).status == 401
    assert (await lab.send("POST", "/v1/infer", [*SPOOFED, *SPOOFED])).status == 401
    connection = ("Connection", "close, " + ", ".join(name for name, _ in SPOOFED))
    # Envoy takes no request that has its own headers taken out.
    assert (await lab.send("POST", "/v1/infer", [connection])).status in (400, 401)
    assert (await lab.send("POST", "/v1/infer", [*SPOOFED, connection])).status in (400, 401)
    assert lab.seen == []


async def test_the_upstream_hears_of_the_subject_from_the_authorizer_alone(lab: Lab) -> None:
    claimed = [(name, "dev-admin") for name in NAMES]
    connection = ("Connection", "close, " + ", ".join(NAMES))
    for more in ([], [connection]):
        reply = await lab.send("POST", "/v1/infer", [*claimed, *lab.shown(lab.token()), *more])
        assert reply.status == 200, reply
        assert is_told(lab.seen[-1], lab.device)
        assert "dev-admin" not in repr(lab.seen[-1].headers)
    assert (await lab.send("GET", "/healthz", claimed)).status == 200
    assert "dev-admin" not in repr(lab.seen[-1].headers)


async def test_no_credential_ever_reaches_the_upstream(lab: Lab) -> None:
    token = lab.token()
    shown = [*lab.shown(token), ("Proxy-Authorization", "Basic eDp5")]
    for method, path in (("POST", "/v1/infer"), ("GET", "/healthz")):
        assert (await lab.send(method, path, shown)).status == 200
        assert token not in repr(lab.seen[-1].headers)
        assert not [
            value for name in ("authorization", "dpop", "proxy-authorization") for value in lab.seen[-1].values(name)
        ]


async def test_no_header_makes_another_request_of_one_that_was_checked(lab: Lab) -> None:
    claimed = [(name, "/models/secret") for name in REMOVED_HEADERS if name.startswith(("X-", "Client-"))]
    assert (await lab.send("POST", "/v1/infer", [*lab.shown(lab.token()), *claimed])).status == 200
    assert [name for name in REMOVED_HEADERS if lab.seen[-1].values(name)] == []


async def test_no_spelling_of_a_path_is_checked_as_one_and_served_as_another(lab: Lab) -> None:
    for target in TARGETS:
        lab.seen.clear()
        bare = await lab.send("POST", target)
        assert bare.status >= 400 or target == "/healthz?/../v1/infer", (target, bare)
        with_capability = await lab.send("POST", target, lab.shown(lab.token()))
        assert with_capability.status < 500, (target, with_capability)
        for seen in lab.seen:
            path = seen.target.removeprefix("http://models.example").partition("?")[0]
            assert path in ("/healthz", "/v1/infer"), (target, seen.target)
            assert path == "/healthz" or is_told(seen, lab.device), target


async def test_what_could_be_read_in_two_ways_is_read_in_none(lab: Lab) -> None:
    token, other = lab.token(), lab.token(resource="another")
    shown = lab.shown(token)
    twice = [("Authorization", f"DPoP {other}"), *shown]
    assert (await lab.send("POST", "/v1/infer", twice)).status in (400, 401)
    assert (await lab.send("POST", "/v1/infer", [*shown, shown[1]])).status in (400, 401)
    assert (await lab.send("POST", "/v1/infer", [shown[0], ("DPoP", f"{shown[1][1]}, x")])).status in (400, 401)
    assert lab.seen == []


async def test_a_proof_counts_for_the_method_and_the_public_url_alone(lab: Lab) -> None:
    token = lab.token()
    for method, url in (("GET", "/v1/infer"), ("POST", "/v1/other"), ("POST", "http://evil.example/v1/infer")):
        target = url if "://" in url else PUBLIC_URL + url
        proof = make_proof(lab.device, method=method, url=target, now=lab.issuer.clock(), access_token=token)
        shown = [("Authorization", f"DPoP {token}"), ("DPoP", proof), ("X-HTTP-Method-Override", method)]
        assert (await lab.send("POST", "/v1/infer", shown, host="evil.example")).status == 401
    shown = lab.shown(token)
    assert (await lab.send("POST", "/v1/infer", shown)).status == 200
    assert (await lab.send("POST", "/v1/infer", shown)).status == 401, "overheard, and sent again"
    assert len(lab.seen) == 1


async def test_a_body_is_as_large_as_it_says_or_goes_nowhere(lab: Lab) -> None:
    assert (await lab.call(lab.token(), body=b"x" * 1001)).status == (401 if lab.dialect == "traefik" else 413)
    assert (await lab.call(lab.token(max_bytes=10), body=b"x" * 11)).status == 403
    shown = lab.shown(lab.token())
    chunked = await lab.send("POST", "/v1/infer", [*shown, ("Transfer-Encoding", "chunked")], b"1\r\nx\r\n0\r\n\r\n")
    # Traefik has read it whole by then.
    assert (chunked.status, len(lab.seen)) == ((200, 1) if lab.dialect == "traefik" else (411, 0))


async def test_no_body_comes_that_nobody_counted(lab: Lab) -> None:
    path = "/models/smart-home-intents"
    chunked = [("Transfer-Encoding", "chunked")]
    for body in (b"5\r\nhello\r\n0\r\n\r\n", b"1\r\nh\r\n4\r\nello\r\n0\r\n\r\n"):
        await lab.send("GET", path, [*lab.shown(lab.token(), "GET", path), *chunked], body)
    # Traefik has read it whole by then, and says how large it is.
    expected = [b"hello"] * 2 if lab.dialect == "traefik" else []
    assert [seen.body for seen in lab.seen if seen.body] == expected


async def test_a_client_does_not_have_taken_out_what_the_authorizer_says(lab: Lab) -> None:
    connection = ("Connection", "close, Ztfm-Subject, Ztfm-Detail, Ztfm-Max-Output-Tokens")
    reply = await lab.send("POST", "/v1/infer", [*lab.shown(lab.token()), connection])
    assert reply.status == 200, reply
    # A server or proxy behind this one would take out what is named there (RFC 9110 section 7.6.1).
    assert "ztfm" not in "".join(lab.seen[-1].values("connection")).lower()


async def test_no_second_request_is_smuggled_in_a_body(lab: Lab) -> None:
    for framing in FRAMINGS:
        lab.seen.clear()
        shown = "\r\n".join(f"{name}: {value}" for name, value in lab.shown(lab.token()))
        inner = "GET /models/secret HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
        body = f"0\r\n\r\n{inner}"
        await lab.raw(f"POST /v1/infer HTTP/1.1\r\nHost: x\r\n{shown}\r\n{framing}\r\n\r\n{body}".encode("latin-1"))
        assert [seen.target for seen in lab.seen] in ([], ["/v1/infer"]), framing


async def test_each_request_of_a_connection_is_asked_about(lab: Lab) -> None:
    shown = "\r\n".join(f"{name}: {value}" for name, value in lab.shown(lab.token()))
    first = f"POST /v1/infer HTTP/1.1\r\nHost: x\r\n{shown}\r\nContent-Length: 0\r\n\r\n"
    second = "POST /v1/infer HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", lab.port)
    writer.write(f"{first}{second}".encode())
    async with asyncio.timeout(10):
        everything = (await reader.read(-1)).decode()
    writer.transport.abort()
    assert everything.startswith("HTTP/1.1 200")
    assert "HTTP/1.1 401" in everything
    assert len(lab.seen) == 1


async def test_a_connection_is_no_web_socket_that_outlives_its_capability(lab: Lab) -> None:
    upgrade = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")]
    key, path = ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="), "/models/smart-home-intents"
    reply = await lab.send("GET", path, [*lab.shown(lab.token(), "GET", path), *upgrade, key])
    assert reply.status != 101
    assert [value for seen in lab.seen for value in seen.values("upgrade")] == [], (reply, lab.seen)


async def test_a_stream_comes_as_it_is_sent(lab: Lab) -> None:
    lines = [f"{name}: {value}" for name, value in [*lab.shown(lab.token()), ("X-Stream", "yes")]]
    reader, writer = await asyncio.open_connection("127.0.0.1", lab.port)
    request = ["POST /v1/infer HTTP/1.1", "Host: x", "Content-Length: 0", *lines, "", ""]
    writer.write("\r\n".join(request).encode())
    async with asyncio.timeout(10):
        await reader.readuntil(b"data: one\n\n")
        assert lab.seen.pop().method == "POST"
        await reader.readuntil(b"data: two\n\n")
    writer.transport.abort()


async def test_caddy_ends_what_runs_longer_than_any_capability(tmp_path: Path) -> None:
    try:
        await asyncio.to_thread(ensure_caddy)
    except NotInstalled as missing:
        pytest.skip(str(missing))
    async with behind("caddy", tmp_path, partial(run_caddy, more={"write 300s": "write 1s"})) as lab:
        lines = [f"{name}: {value}" for name, value in [*lab.shown(lab.token()), ("X-Stream", "yes")]]
        reader, writer = await asyncio.open_connection("127.0.0.1", lab.port)
        begun = time.monotonic()
        writer.write("\r\n".join(["POST /v1/infer HTTP/1.1", "Host: x", "Content-Length: 0", *lines, "", ""]).encode())
        async with asyncio.timeout(10):
            await reader.readuntil(b"data: one\n\n")
            await asyncio.sleep(max(0.0, begun + 1.5 - time.monotonic()))
            lab.seen.clear()
            assert b"two" not in await reader.read(-1)
        writer.transport.abort()


async def test_without_the_authorizer_nothing_passes(lab: Lab) -> None:
    await lab.stop_authorizer()
    reply = await lab.call(lab.token())
    assert reply.status in (500, 502, 503)
    if lab.dialect in ("nginx", "caddy", "haproxy"):
        assert reply.headers["content-type"] == "application/problem+json"
    assert lab.seen == []


async def test_an_authorizer_that_breaks_off_or_errs_lets_nothing_through(lab: Lab) -> None:
    for answer in BROKEN:

        async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: bytes = answer) -> None:
            await reader.read(100)
            writer.write(answer)
            writer.close()

        async with lab.impostor(break_off):
            reply = await lab.call(lab.token())
        assert (reply.status >= 400, lab.seen) == (True, []), answer


async def test_an_authorizer_that_hangs_lets_nothing_through(lab: Lab) -> None:
    if lab.dialect == "traefik":
        pytest.skip("Traefik waits for half a minute")
    over = asyncio.Event()

    async def hang(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    async with lab.impostor(hang):
        reply = await lab.call(lab.token())
        over.set()
    assert (reply.status >= 500, lab.seen) == (True, [])
