import asyncio
from typing import Any

from controlplane.contracts.console import KeptSession
from controlplane.contracts.identity import Person
from controlplane.storage import Store
from controlplane.storage.sessions import KEPT_SECONDS

NOW = 1_767_225_600.0
PERSON = Person(id="person-1", issuer="https://id.example.net", claims={"sub": ["ann"]}, expires_at=NOW + 60.0)


def session(**changes: Any) -> KeptSession:
    known: dict[str, Any] = {
        "subject": "dev-1",
        "key_thumbprint": "t" * 43,
        "begun_at": NOW,
        "used_at": NOW,
        "idle_seconds": 900.0,
        "ends_at": NOW + 3600.0,
    }
    return KeptSession.model_validate({**known, **changes})


def persons(**changes: Any) -> KeptSession:
    return session(subject=PERSON.id, person=PERSON, key_thumbprint=None, **changes)


async def test_a_session_reads_back_as_it_was_kept(store: Store) -> None:
    assert await store.sessions.begin("h1", session()) == 0
    assert await store.sessions.begin("h2", persons()) == 0
    assert await store.sessions.get("h1") == session()
    assert await store.sessions.get("h2") == persons()
    assert await store.sessions.get("h3") is None


async def test_a_session_that_ended_here_has_ended_on_every_replica(store: Store, replica: Store) -> None:
    await store.sessions.begin("h1", session())
    tries = (side.sessions.end("h1", NOW + 1.0) for side in [store, replica] * 5)
    assert sum(await asyncio.gather(*tries)) == 1
    found = await replica.sessions.get("h1")
    assert found is not None
    assert not found.holds_at(NOW + 1.0)


async def test_those_that_have_not_ended_are_told_from_the_others(store: Store) -> None:
    for name, changes in {
        "lasts": {},
        "over": {"ends_at": NOW + 50.0},
        "idle": {"idle_seconds": 50.0},
        "used": {"idle_seconds": 60.0, "used_at": NOW + 40.0},
    }.items():
        await store.sessions.begin(name, session(**changes))
    names = {"lasts", "over", "idle", "used", "unknown"}
    assert await store.sessions.holding(names, NOW + 50.0) == {"lasts", "used"}
    assert await store.sessions.holding({"over"}, NOW + 50.0) == frozenset()
    await store.sessions.end("lasts", NOW + 10.0)
    assert await store.sessions.holding(names, NOW + 50.0) == {"used"}


async def test_one_too_many_ends_the_oldest_of_the_same_subject_and_of_nobody_else(store: Store) -> None:
    store.sessions._most = 3
    await store.sessions.begin("other", session(subject="dev-2"))
    ended = [await store.sessions.begin(f"h{n}", session(begun_at=NOW + n, used_at=NOW + n)) for n in range(5)]
    assert ended == [0, 0, 0, 1, 1]
    holds = {}
    for name in ("other", "h0", "h1", "h2", "h3", "h4"):
        found = await store.sessions.get(name)
        assert found is not None
        holds[name] = found.holds_at(NOW + 5.0)
    assert holds == {"other": True, "h0": False, "h1": False, "h2": True, "h3": True, "h4": True}


async def test_a_sign_in_begins_one_session_whoever_comes_first(store: Store, replica: Store) -> None:
    sides = [store, replica] * 5
    tries = (side.sessions.begin(f"h{number}", persons(), "s1") for number, side in enumerate(sides))
    begun = await asyncio.gather(*tries)
    assert sum(one is not None for one in begun) == 1
    kept = [await store.sessions.get(f"h{number}") for number in range(len(sides))]
    assert sum(one is not None for one in kept) == 1
    assert await store.sessions.begin("h10", persons(), "s2") == 0


async def test_a_sign_in_begins_no_second_session_when_the_first_one_has_ended(store: Store) -> None:
    await store.sessions.begin("h1", persons(), "s1")
    await store.sessions.end("h1", NOW + 1.0)
    await store.sessions.purge(NOW + 2.0)
    assert await store.sessions.begin("h2", persons(), "s1") is None


async def test_use_is_noted_and_never_taken_back(store: Store) -> None:
    await store.sessions.begin("h1", session())
    await store.sessions.use("h1", NOW + 100.0)
    await store.sessions.use("h1", NOW + 50.0)
    assert await store.sessions.get("h1") == session(used_at=NOW + 100.0)


async def test_a_purge_forgets_what_ended_a_while_ago_and_nothing_else(store: Store) -> None:
    await store.sessions.begin("old", session(ends_at=NOW))
    await store.sessions.begin("new", session(ends_at=NOW + 1.0))
    assert await store.sessions.purge(NOW + KEPT_SECONDS) == 1
    assert await store.sessions.get("old") is None
    assert await store.sessions.get("new") is not None
