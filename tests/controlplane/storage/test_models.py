"""Versions as they are kept: once, whole, and withdrawn for good."""

from typing import Any

from controlplane.contracts.models import ModelVersion, VersionFile
from controlplane.contracts.rounds import Round
from controlplane.storage import Store
from tests.controlplane.storage.conftest import NOW


def digest(number: int) -> str:
    return f"sha256:{number:064x}"


def version(number: int = 1, **changes: Any) -> ModelVersion:
    known = {
        "model": "m",
        "id": digest(number),
        "name": "m",
        "root": digest(number + 100),
        "signer": "example-lab",
        "tensors": digest(number + 200),
        "files": 2,
        "registered_at": NOW + number,
        "registered_by": "dev-a",
        "decision_id": "dec-1",
        "state": "registered",
    }
    return ModelVersion(**{**known, **changes})


def files(number: int = 1) -> dict[str, str]:
    return {"a": digest(number + 300), "b": digest(7)}


def opened(round_id: str, model_digest: str, **changes: Any) -> Round:
    known = {
        "id": round_id,
        "model": "m",
        "model_digest": model_digest,
        "members": ["dev-b"],
        "opened_by": "agg",
        "opens_at": NOW,
        "closes_at": NOW + 60.0,
        "state": "open",
    }
    return Round(**{**known, **changes})


async def test_a_version_is_kept_once_and_found_by_each_of_its_digests(store: Store) -> None:
    assert await store.models.register(version(), files(), "the signature")
    assert not await store.models.register(version(signer="other"), {"x": digest(9)}, "another")
    kept = await store.models.get("m", digest(1))
    assert kept is not None
    assert kept.model_dump(exclude={"contents", "bundle"}) == version().model_dump()
    assert (kept.bundle, kept.contents) == (
        "the signature",
        [VersionFile(name="a", digest=digest(301)), VersionFile(name="b", digest=digest(7))],
    )
    for each in (digest(301), digest(7), digest(201)):
        assert await store.models.standing_for("m", each) == version()
        assert await store.models.standing_for("other", each) is None
    for other in (digest(1), digest(101), digest(9), ""):
        assert await store.models.standing_for("m", other) is None
    assert await store.models.get("m", digest(2)) is None


async def test_what_is_withdrawn_stands_for_nothing_and_an_earlier_one_still_does(store: Store) -> None:
    await store.models.register(version(1), files(1), "one")
    await store.models.register(version(2), files(2), "two")
    found = await store.models.standing_for("m", digest(7))
    assert found is not None
    assert found.id == digest(2)
    assert await store.models.withdraw("m", digest(2), "boss", "Wrong data.", NOW + 9)
    assert not await store.models.withdraw("m", digest(2), "other", "Again.", NOW + 10)
    assert not await store.models.withdraw("other", digest(1), "boss", "Not there.", NOW + 10)
    assert await store.models.standing_for("m", digest(302)) is None
    assert await store.models.standing_for("m", digest(7)) == version(1)
    listed = await store.models.page("m")
    assert [(one.id, one.state, one.withdrawn_by) for one in listed] == [
        (digest(2), "withdrawn", "boss"),
        (digest(1), "registered", None),
    ]
    assert await store.models.page("other") == []
    assert [one.id for one in await store.models.page(limit=1)] == [digest(2)]


async def test_a_digest_of_a_file_is_nothing_that_a_round_can_begin_with(store: Store) -> None:
    await store.models.register(version(), files(), "one")
    for number, each in enumerate(files().values()):
        await store.models.began(opened(f"r{number}", each), None)
        assert await store.models.base_of(f"r{number}") is None


async def test_both_are_entries_of_the_log(store: Store) -> None:
    before = await store.log.size()
    await store.models.register(version(), files(), "one")
    await store.models.register(version(), files(), "one")
    await store.models.withdraw("m", digest(1), "boss", "Wrong data.", NOW + 9)
    await store.models.withdraw("m", digest(1), "boss", "Wrong data.", NOW + 9)
    assert await store.log.size() == before + 2


async def test_a_rounds_base_is_what_it_or_the_one_before_began_with(store: Store) -> None:
    await store.models.register(version(), files(), "one")
    await store.models.began(opened("r1", digest(201)), None)
    await store.models.began(opened("r2", digest(50)), "r1")
    await store.models.began(opened("r3", digest(51)), "r2")
    await store.models.began(opened("s1", digest(50)), None)
    await store.models.began(opened("s2", digest(51)), "s1")
    await store.models.began(opened("o1", digest(52), model="other"), "r3")
    assert [await store.models.base_of(name) for name in ("r1", "r2", "r3")] == [version()] * 3
    assert [await store.models.base_of(name) for name in ("s1", "s2", "o1", "none")] == [None] * 4
    await store.models.began(opened("s1", digest(201)), None)
    await store.models.withdraw("m", digest(1), "boss", "Wrong data.", NOW + 9)
    assert [await store.models.base_of(name) for name in ("r1", "r2", "r3", "s1")] == [None] * 4
