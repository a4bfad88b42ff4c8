"""``did:web`` against a real server: what is fetched, from where, and what of it counts."""

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web

from controlplane.identity.resolving import Resolver, ResolverLimits
from controlplane.identity.resolving import web as module
from controlplane.identity.resolving.interface import Found, NotResolved
from controlplane.identity.resolving.reaching import GuardedNames, OwnThreads, Reach, may_reach
from controlplane.identity.resolving.web import MAX_DOCUMENT_BYTES, WebMethod
from controlplane.jose.keys import DeviceKey
from tests.clocks import Clock
from tests.controlplane.identity.resolving.pages import (
    HOST,
    Pages,
    certified,
    names,
    published,
    serving_pages,
    slowly,
)

WELL_KNOWN = "/.well-known/did.json"


@pytest.fixture
async def plain() -> AsyncIterator[Pages]:
    async with serving_pages() as pages:
        yield pages


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    return certified(tmp_path_factory.mktemp("tls"))


@pytest.fixture
async def secure(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> AsyncIterator[Pages]:
    async with serving_pages(contexts[0]) as pages:
        yield pages


async def ask(method: WebMethod, did: str) -> Found:
    """Resolve as the resolver does, with a check first."""
    try:
        method.check(did)
        return await method.resolve(did)
    finally:
        await method.close()


async def refusal(method: WebMethod, did: str) -> NotResolved:
    with pytest.raises(NotResolved) as caught:
        await ask(method, did)
    return caught.value


async def test_a_document_is_fetched_over_tls(secure: Pages, contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    did, key = secure.did(), DeviceKey.generate()
    secure.put(published(did, key))
    found = await ask(WebMethod([did], "lab", tls=contexts[1], names=names()), did)
    assert found.document.id == did
    assert list(found.document.keys_for("assertionMethod").values()) == [key.public]
    assert secure.asked == [WELL_KNOWN]


async def test_a_path_leads_to_the_document_of_it(plain: Pages) -> None:
    did = plain.did("localhost", ":orgs:a")
    plain.put(published(did), "/orgs/a/did.json", content_type="application/json")
    assert (await ask(WebMethod([did], "lab"), did)).document.id == did
    assert plain.asked == ["/orgs/a/did.json"]


async def test_a_certificate_that_does_not_verify_ends_it(secure: Pages) -> None:
    did = secure.did()
    secure.put(published(did))
    assert "certificate" in str(await refusal(WebMethod([did], "lab", names=names()), did))
    assert secure.asked == []


async def test_a_certificate_for_another_host_ends_it(
    secure: Pages, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    did = secure.did("org-b.example")
    secure.put(published(did))
    method = WebMethod([did], "lab", tls=contexts[1], names=names(host="org-b.example"))
    assert "certificate" in str(await refusal(method, did))
    assert secure.asked == []


async def test_plain_http_is_spoken_with_localhost_alone(plain: Pages) -> None:
    did = plain.did()
    plain.put(published(did))
    assert (await refusal(WebMethod([did], "lab", names=names()), did)).error == "internalError"
    assert plain.asked == []


@pytest.mark.parametrize("reach", ["public", "private"])
async def test_localhost_is_asked_in_a_lab_alone(plain: Pages, reach: Reach) -> None:
    did = plain.did("localhost")
    plain.put(published(did))
    assert (await refusal(WebMethod([did], reach), did)).error == "notAllowed"
    assert plain.asked == []


@pytest.mark.parametrize("reach", ["public", "private"])
async def test_a_name_that_leads_to_this_machine_is_not_followed(
    secure: Pages, contexts: tuple[ssl.SSLContext, ssl.SSLContext], reach: Reach
) -> None:
    did = secure.did()
    secure.put(published(did))
    refused = await refusal(WebMethod([did], reach, tls=contexts[1], names=names()), did)
    assert refused.error == "notAllowed"
    assert "ZTFM_DID_WEB_REACH" in str(refused)
    assert secure.asked == []


async def test_one_address_that_is_not_reached_among_others_is_enough(
    secure: Pages, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    did = secure.did()
    secure.put(published(did))
    method = WebMethod([did], "lab", tls=contexts[1], names=names("127.0.0.1", "169.254.169.254"))
    assert (await refusal(method, did)).error == "notAllowed"
    assert secure.asked == []


async def test_nobody_is_asked_about_who_was_not_named(plain: Pages) -> None:
    named = plain.did("localhost")
    plain.put(published(named))
    for did in (plain.did("localhost", ":a"), f"did:web:localhost%3A{plain.port + 1}", "did:web:example.com"):
        refused = await refusal(WebMethod([named], "lab"), did)
        assert refused.error == "notAllowed"
        assert "ZTFM_DID_WEB_ORGANISATIONS" in str(refused)
    assert plain.asked == []


async def test_our_own_document_is_not_fetched(plain: Pages) -> None:
    did = plain.did("localhost")
    from controlplane.identifiers.documents import organisation_document

    own = organisation_document(did, DeviceKey.generate().public)
    method = WebMethod([], own=lambda asked: own if asked == did else None)
    assert method.is_computed(did)
    assert not method.is_computed("did:web:example.com")
    assert (await ask(method, did)).document == own
    assert plain.asked == []


async def test_a_redirect_is_not_followed(plain: Pages) -> None:
    did = plain.did("localhost")
    plain.put(published(did), "/elsewhere")
    plain.put(b"", status=302, headers={"Location": "/elsewhere"})
    assert "redirect" in str(await refusal(WebMethod([did], "lab"), did))
    assert plain.asked == [WELL_KNOWN]


@pytest.mark.parametrize(
    ("status", "error"), [(404, "notFound"), (410, "notFound"), (500, "internalError"), (204, "internalError")]
)
async def test_what_is_not_there_is_told_from_what_failed(plain: Pages, status: int, error: str) -> None:
    did = plain.did("localhost")
    plain.put(b"", status=status)
    assert (await refusal(WebMethod([did], "lab"), did)).error == error


async def test_a_server_that_is_away_is_an_error(plain: Pages) -> None:
    did = "did:web:localhost%3A1"
    assert (await refusal(WebMethod([did], "lab"), did)).error == "internalError"
    away = "did:web:nowhere.example"
    assert (await refusal(WebMethod([away], "lab", names=names()), away)).error == "internalError"


async def test_a_server_that_does_not_answer_is_not_waited_for(plain: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FETCH_SECONDS", 0.2)
    did = plain.did("localhost")
    plain.answers[WELL_KNOWN] = slowly
    assert "0.2 s" in str(await refusal(WebMethod([did], "lab"), did))


async def test_a_document_without_end_is_not_read_to_it(plain: Pages) -> None:
    did, sent = plain.did("localhost"), 0

    async def _endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        await answer.prepare(request)
        while True:
            await answer.write(b" " * 16_384)
            sent += 16_384

    plain.answers[WELL_KNOWN] = _endless
    assert (await refusal(WebMethod([did], "lab"), did)).error == "invalidDidDocument"
    assert sent < 100 * MAX_DOCUMENT_BYTES


@pytest.mark.parametrize(
    "change",
    [
        lambda _did: b"",
        lambda _did: b"[]",
        lambda _did: b"{" * 20_000,
        lambda did: f'{{"id":"{did}","id":"{did}"}}'.encode(),
        lambda did: {**published(did), "id": did + ":other"},
        lambda did: {**published(did), "verificationMethod": []},
        lambda did: {**published(did), "verificationMethod": {}},
    ],
)
async def test_what_is_no_document_of_the_did_is_refused(plain: Pages, change: Callable[[str], Any]) -> None:
    did = plain.did("localhost")
    plain.put(change(did))
    assert (await refusal(WebMethod([did], "lab"), did)).error == "invalidDidDocument"


@pytest.mark.parametrize(
    "options",
    [{"content_type": "text/html"}, {"content_type": "image/svg+xml"}, {"headers": {"Content-Encoding": "gzip"}}],
)
async def test_what_is_no_plain_json_is_refused(plain: Pages, options: dict[str, Any]) -> None:
    did = plain.did("localhost")
    plain.put(published(did), **options)
    assert (await refusal(WebMethod([did], "lab"), did)).error == "invalidDidDocument"


@pytest.mark.parametrize(
    ("address", "reached"),
    [
        ("93.184.215.14", {"public", "private", "lab"}),
        ("2606:4700::6810:85e5", {"public", "private", "lab"}),
        *[(one, {"private", "lab"}) for one in ("10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "fd00::1")],
        *[(one, {"lab"}) for one in ("127.0.0.1", "127.255.0.1", "::1")],
        *[
            (one, set())
            for one in (
                *("169.254.169.254", "fe80::1", "fe80::1%eth0", "0.0.0.0", "::", "224.0.0.1", "ff02::1", "240.0.0.1"),
                *("255.255.255.255", "198.18.0.1", "192.0.2.1", "2001:db8::1", "fec0::1", "", "localhost", "1.2.3"),
                *("192.0.0.192", "::ffff:192.0.0.192", "168.63.129.16", "192.88.99.1", "3fff::1"),
            )
        ],
        ("::ffff:127.0.0.1", {"lab"}),
        ("::ffff:10.0.0.1", {"private", "lab"}),
        ("::ffff:169.254.169.254", set()),
        ("64:ff9b::a00:1", {"private", "lab"}),
        ("64:ff9b::a9fe:a9fe", set()),
        ("2002:7f00:1::", {"lab"}),
        ("2002:a9fe:a9fe::", set()),
    ],
)
def test_which_addresses_are_reached(address: str, reached: set[Reach]) -> None:
    reaches: tuple[Reach, ...] = ("public", "private", "lab")
    assert {reach for reach in reaches if may_reach(address, reach)} == reached


async def test_name_servers_that_do_not_answer_hold_up_nobody_else() -> None:
    ended, asked = threading.Event(), threading.Semaphore(0)

    def wait(*_asked: Any) -> list[Any]:
        asked.release()
        ended.wait(30)
        return []

    names = GuardedNames("public", OwnThreads(wait))
    waiting = [asyncio.create_task(names.resolve(f"slow-{number}.example")) for number in range(64)]
    try:
        async with asyncio.timeout(20):
            assert await asyncio.to_thread(asked.acquire, timeout=10)
            assert await asyncio.to_thread(lambda: "done") == "done"
        assert not any(task.done() for task in waiting)
    finally:
        ended.set()
        await asyncio.gather(*waiting, return_exceptions=True)
        await names.close()


async def test_names_are_resolved_as_the_system_does() -> None:
    names = GuardedNames("lab", OwnThreads())
    found = await names.resolve("localhost", 8443, socket.AF_INET)
    assert {(one["host"], one["port"]) for one in found} == {("127.0.0.1", 8443)}
    await names.close()
    assert await names.resolve("localhost", 8443, socket.AF_INET) == found
    await names.close()
    with pytest.raises(OSError):
        await GuardedNames("public", OwnThreads()).resolve("localhost", 8443, socket.AF_INET)


async def test_what_resolves_names_is_given_back(
    secure: Pages, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    did, found = secure.did(), names()
    secure.put(published(did))
    await ask(WebMethod([did], "lab", tls=contexts[1], names=found), did)
    assert found.closed


async def test_a_name_that_later_leads_elsewhere_is_not_followed_there(
    secure: Pages, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    did, hosts = secure.did(), names()
    secure.put(published(did))
    method = WebMethod([did], "lab", tls=contexts[1], names=hosts)
    assert (await method.resolve(did)).document.id == did
    hosts.found[HOST] = ["169.254.169.254"]
    with pytest.raises(NotResolved) as caught:
        await method.resolve(did)
    assert caught.value.error == "notAllowed"
    hosts.found[HOST] = []
    with pytest.raises(NotResolved) as caught:
        await method.resolve(did)
    assert caught.value.error == "internalError"
    assert len(secure.asked) == 1
    await method.close()


async def test_a_server_is_asked_once_however_many_wait(plain: Pages) -> None:
    did, clock = plain.did("localhost"), Clock()
    plain.put(published(did))
    resolver = Resolver({"web": WebMethod([did], "lab")}, clock=clock, timer=clock)
    found = await asyncio.gather(*(resolver.resolve(did) for _ in range(200)))
    assert {one.error for one in found} == {None}
    assert plain.asked == [WELL_KNOWN]
    plain.answers.clear()
    clock.now += ResolverLimits().keep_seconds
    assert {one.error for one in await asyncio.gather(*(resolver.resolve(did) for _ in range(200)))} == {"notFound"}
    assert len(plain.asked) == 2
    await resolver.close()
