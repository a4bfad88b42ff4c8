"""The resolver: what it remembers and for how long, that it asks once, and that whatever fails resolves nothing."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from controlplane.identifiers.didkey import did_key, key_document
from controlplane.identifiers.documents import ERRORS, DidDocument, organisation_document
from controlplane.identity.resolving import Found, NotResolved, Resolver, ResolverLimits
from controlplane.identity.resolving.key import KeyMethod
from controlplane.identity.resolving.web import WebMethod
from controlplane.jose.keys import DeviceKey
from tests.clocks import Clock

DID = "did:test:a"
LIMITS = ResolverLimits(keep_seconds=100.0, keep_failed_seconds=10.0, capacity=3, at_once=2, deadline_seconds=0.3)


@dataclass
class Asked:
    """A method that is asked: what it answers is the test's choice.

    Attributes:
        answer: a document's owner, or what is raised.
        asked: DIDs, in order.
        gate: it answers once this is set.
    """

    name: str = "test"
    answer: Callable[[str], Found] = field(default=lambda did: Found(document(did)))
    asked: list[str] = field(default_factory=list)
    gate: asyncio.Event | None = None
    closed: bool = False

    def is_computed(self, did: str) -> bool:
        return False

    def check(self, did: str) -> None:
        if did.endswith("forbidden"):
            raise NotResolved("notAllowed", "ask somebody else")

    async def resolve(self, did: str) -> Found:
        self.asked.append(did)
        if self.gate is not None:
            await self.gate.wait()
        return self.answer(did)

    async def close(self) -> None:
        self.closed = True


def document(did: str) -> DidDocument:
    return organisation_document(did, DeviceKey.generate().public)


def failing(error: Exception) -> Callable[[str], Found]:
    def _raise(_did: str) -> Found:
        raise error

    return _raise


@dataclass
class House:
    method: Asked
    timer: Clock
    told: list[tuple[str, str]]
    resolver: Resolver


@pytest.fixture
def house() -> House:
    method, timer, told = Asked(), Clock(), list[tuple[str, str]]()
    resolver = Resolver(
        {"test": method, "key": KeyMethod()},
        clock=lambda: 1_767_225_600.9,
        timer=timer,
        limits=LIMITS,
        observe=lambda method, outcome: told.append((method, outcome)),
    )
    return House(method, timer, told, resolver)


async def test_a_document_is_fetched_once_and_counts_until_its_time_is_over(house: House) -> None:
    first, again = await house.resolver.resolve(DID), await house.resolver.resolve(DID)
    assert first.did_document == again.did_document is not None
    assert not first.did_resolution_metadata.from_cache
    assert again.did_resolution_metadata.from_cache
    assert first.did_resolution_metadata.retrieved == "2026-01-01T00:00:00Z"
    house.timer.now += 99.9
    await house.resolver.resolve(DID)
    assert len(house.method.asked) == 1
    house.timer.now += 0.1
    assert not (await house.resolver.resolve(DID)).did_resolution_metadata.from_cache
    assert len(house.method.asked) == 2
    assert house.told == [("test", one) for one in ("resolved", "cached", "cached", "resolved")]


@pytest.mark.parametrize("error", [NotResolved("notFound", "not there"), RuntimeError("broken"), KeyError("x")])
async def test_a_failure_is_remembered_for_a_shorter_time(house: House, error: Exception) -> None:
    house.method.answer = failing(error)
    expected = error.error if isinstance(error, NotResolved) else "internalError"
    for _ in range(3):
        found = await house.resolver.resolve(DID)
        assert (found.did_document, found.error) == (None, expected)
    assert len(house.method.asked) == 1
    house.timer.now += 10.0
    house.method.answer = lambda did: Found(document(did))
    assert (await house.resolver.resolve(DID)).error is None
    assert house.told == [("test", expected)] * 3 + [("test", "resolved")]


async def test_an_old_document_is_not_shown_in_place_of_one_that_cannot_be_had(house: House) -> None:
    assert (await house.resolver.resolve(DID)).did_document is not None
    house.timer.now += 100.0
    house.method.answer = failing(NotResolved("internalError", "away"))
    found = await house.resolver.resolve(DID)
    assert (found.did_document, found.error) == (None, "internalError")
    assert found.keys_for("assertionMethod") == {}


async def test_many_who_ask_at_once_have_it_asked_once(house: House) -> None:
    house.method.gate = asyncio.Event()
    waiting = [asyncio.create_task(house.resolver.resolve(DID)) for _ in range(20)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    house.method.gate.set()
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(found[0], asyncio.CancelledError)
    assert all(one == found[1] for one in found[1:])
    assert house.method.asked == [DID]


async def test_no_more_are_asked_at_once_than_the_limit(house: House) -> None:
    house.method.gate = asyncio.Event()
    waiting = [asyncio.create_task(house.resolver.resolve(f"did:test:{n}")) for n in range(2)]
    await asyncio.sleep(0)
    assert (await house.resolver.resolve("did:test:2")).error == "internalError"
    house.method.gate.set()
    assert {one.error for one in await asyncio.gather(*waiting)} == {None}
    assert (await house.resolver.resolve("did:test:2")).error is None


async def test_a_method_that_does_not_answer_is_given_up(house: House) -> None:
    house.method.gate = asyncio.Event()
    found = await house.resolver.resolve(DID)
    assert found.error == "internalError"
    assert "0.3 s" in (found.did_resolution_metadata.error or pytest.fail("no error")).detail


async def test_who_was_not_asked_about_for_longest_is_forgotten_first(house: House) -> None:
    for name in ("did:test:1", "did:test:2", "did:test:3", "did:test:1", "did:test:4"):
        await house.resolver.resolve(name)
    house.method.asked.clear()
    for name in ("did:test:1", "did:test:3", "did:test:4"):
        await house.resolver.resolve(name)
    assert house.method.asked == []
    await house.resolver.resolve("did:test:2")
    assert house.method.asked == ["did:test:2"]


async def test_what_somebody_changed_is_asked_about_again(house: House) -> None:
    await house.resolver.resolve(DID)
    house.resolver.forget(DID)
    house.resolver.forget("did:test:unknown")
    await house.resolver.resolve(DID)
    assert house.method.asked == [DID, DID]


async def test_what_follows_from_the_did_alone_takes_no_room(house: House) -> None:
    await house.resolver.resolve(DID)
    for _ in range(5):
        did = did_key(DeviceKey.generate().public)
        found = await house.resolver.resolve(did)
        assert (found.did_document, found.did_resolution_metadata.from_cache) == (key_document(did), False)
    assert (await house.resolver.resolve(DID)).did_resolution_metadata.from_cache


@pytest.mark.parametrize(
    ("did", "error", "method"),
    [
        ("", "invalidDid", ""),
        ("dev-abc", "invalidDid", ""),
        ("did:test:a#b", "invalidDid", ""),
        ("did:other:a", "methodNotSupported", "other"),
        ("did:key:zabc", "invalidDid", "key"),
        ("did:test:forbidden", "notAllowed", "test"),
    ],
)
async def test_what_does_not_resolve_says_why_and_nobody_is_asked(
    house: House, did: str, error: str, method: str
) -> None:
    found = await house.resolver.resolve(did)
    assert (found.did_document, found.error) == (None, error)
    assert house.method.asked == []
    assert house.told == [(method, error)]


@pytest.mark.parametrize(
    "answer",
    [
        lambda did: Found(document(did + "b")),
        lambda did: Found(document(did), deactivated=True),
    ],
)
async def test_a_document_of_another_or_keys_of_a_dead_one_do_not_count(
    house: House, answer: Callable[[str], Found]
) -> None:
    house.method.answer = answer
    assert (await house.resolver.resolve(DID)).error == "invalidDidDocument"


async def test_a_did_that_was_given_up_says_so_and_has_no_keys(house: House) -> None:
    empty = document(DID).model_copy(update={"verification_method": []})
    house.method.answer = lambda _did: Found(empty, deactivated=True, version="7")
    found = await house.resolver.resolve(DID)
    assert found.is_deactivated
    assert found.did_document_metadata.version_id == "7"
    assert found.keys_for("authentication") == {}


async def test_closing_ends_what_is_under_way(house: House) -> None:
    house.method.gate = asyncio.Event()
    waiting = asyncio.create_task(house.resolver.resolve(DID))
    await asyncio.sleep(0)
    await house.resolver.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert house.method.closed


async def test_a_web_did_is_checked_before_anything_is_remembered(house: House) -> None:
    resolver = Resolver({"web": WebMethod([])}, clock=Clock(), timer=house.timer, limits=LIMITS)
    for n in range(10):
        assert (await resolver.resolve(f"did:web:a{n}.example")).error == "notAllowed"
    assert resolver._known == {}
    await resolver.close()


def test_every_error_has_its_place() -> None:
    assert len(ERRORS) == len(set(ERRORS)) == 6
