"""The log in the store: one order for all writers, nothing without its entry, and every proof from what is kept."""

import asyncio
import hashlib
import random

import pytest
from sqlalchemy import text

from controlplane.capabilities.revoking import status_notice
from controlplane.storage import Store, StoreUnavailable
from controlplane.storage.log import TILE, Kept, append
from controlplane.transparency.entries import Entry, commit
from controlplane.transparency.merkle import (
    Subtree,
    consistency_pieces,
    hashes_of,
    inclusion_pieces,
    joined,
    leaf_hash,
    root_pieces,
    verify_consistency,
    verify_inclusion,
)

NOW = 1_767_225_600.5


async def fill(store: Store, count: int, begin: int = 0) -> None:
    for start in range(begin, begin + count, 500):
        stop = min(start + 500, begin + count)
        await store.log.append(
            "event", [(f"ev-{number}", NOW + number, b"%d" % number) for number in range(start, stop)]
        )


async def root_of(store: Store, size: int) -> bytes:
    found = await store.log.hashes(root_pieces(size))
    return joined([found[one] for one in root_pieces(size)])


async def included(store: Store, place: int, size: int) -> list[bytes]:
    parts = inclusion_pieces(place, size)
    return hashes_of(parts, await store.log.hashes([one for part in parts for one in part]))


async def grown(store: Store, earlier: int, later: int) -> list[bytes]:
    parts = consistency_pieces(earlier, later)
    return hashes_of(parts, await store.log.hashes([one for part in parts for one in part]))


def holds(kept: Kept, document: bytes) -> bool:
    return kept.salt is not None and commit(kept.salt, document).hex() == kept.entry.commitment


async def test_an_entry_commits_to_its_record_and_is_hashed_in_its_canonical_form(store: Store) -> None:
    await store.log.append("release", [("rel-1", NOW, b"a record")])
    (kept,) = await store.log.page(0, 10)
    assert (kept.place, kept.entry.kind, kept.entry.id, kept.entry.time_ms) == (
        0,
        "release",
        "rel-1",
        1_767_225_600_500,
    )
    assert holds(kept, b"a record")
    assert kept.document == b"a record"
    written = (
        f'{{"commitment":"{kept.entry.commitment}","id":"rel-1","kind":"release","time_ms":1767225600500}}'.encode()
    )
    assert kept.entry.encoded() == written
    assert kept.hash == leaf_hash(written) == hashlib.sha256(b"\x00" + written).digest()


async def test_two_of_the_same_record_cannot_be_told_to_be(store: Store) -> None:
    await store.log.append("event", [("ev-1", NOW, b"same"), ("ev-2", NOW, b"same")])
    one, two = await store.log.page(0, 2)
    assert one.entry.commitment != two.entry.commitment


async def test_a_decision_has_its_entry_and_the_entry_keeps_no_second_copy(store: Store) -> None:
    await store.decisions.add_many([("dec-1", NOW, "inference", "dev-1", "allow", b'{"what": "it was"}')])
    kept = await store.log.find("dec-1")
    assert kept is not None
    assert holds(kept, b'{"what": "it was"}')
    assert kept.document is None


async def test_what_is_not_written_has_no_entry(store: Store) -> None:
    row = ("dec-1", NOW, "inference", "dev-1", "allow", b"{}")
    await store.decisions.add_many([row])
    with pytest.raises(StoreUnavailable):
        await store.decisions.add_many([("dec-2", NOW, "inference", "dev-1", "allow", b"{}"), row])
    assert await store.log.size() == 1
    assert await store.log.find("dec-2") is None


async def test_an_erased_decision_leaves_its_entry_and_the_tree_as_they_were(store: Store) -> None:
    rows = [(f"dec-{number}", NOW + number, "inference", "dev-1", "allow", b"{}") for number in range(20)]
    await store.decisions.add_many(rows)
    await store.log.seal()
    before = await root_of(store, 20)
    assert await store.decisions.purge(NOW + 10) == 10
    kept = await store.log.find("dec-3")
    assert kept is not None
    assert (kept.salt, kept.document) == (None, None)
    assert kept.hash == kept.entry.hashed()
    assert await root_of(store, 20) == before
    remaining = await store.log.find("dec-12")
    assert remaining is not None
    assert holds(remaining, b"{}")


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 511, 512, 1000])
async def test_every_kind_of_proof_comes_from_what_is_kept(store: Store, size: int) -> None:
    await fill(store, size)
    assert await store.log.seal() == size
    leaves = await store.log.leaves(0, 4096)
    root = await root_of(store, size)
    chance = random.Random(size)
    for place in {0, size - 1, size // 2, chance.randrange(size)}:
        verify_inclusion(leaves[place], place, size, await included(store, place, size), root)
    for earlier in {1, size, size // 2 or 1, chance.randrange(1, size + 1)}:
        verify_consistency(earlier, size, await grown(store, earlier, size), await root_of(store, earlier), root)


async def test_a_tile_of_tiles_is_kept_once_there_are_enough(store: Store) -> None:
    size = TILE**4 + 3

    async def _many(count: int, begin: int) -> None:
        rows = [(f"ev-{number}", NOW, b"") for number in range(begin, begin + count)]
        await store.log.append("event", rows)

    for begin in range(0, size, 8192):
        await _many(min(8192, size - begin), begin)
    assert await store.log.seal() == size
    leaves: list[bytes] = []
    while len(leaves) < size:
        leaves += await store.log.leaves(len(leaves), 4096)
    root = await root_of(store, size)
    for place in (0, 255, 256, 40_000, size - 1):
        verify_inclusion(leaves[place], place, size, await included(store, place, size), root)
    verify_consistency(300, size, await grown(store, 300, size), await root_of(store, 300), root)


async def test_sealing_goes_on_where_it_stopped_and_changes_nothing(store: Store) -> None:
    await fill(store, 300)
    await store.log.seal()
    before = await root_of(store, 300)
    await fill(store, 700, begin=300)
    await store.log.seal()
    await store.log.seal()
    assert await root_of(store, 300) == before


async def test_what_the_log_does_not_have_is_not_proven(store: Store) -> None:
    await fill(store, 10)
    with pytest.raises(LookupError, match="lacks"):
        await store.log.hashes([Subtree(4, 0)])
    with pytest.raises(LookupError, match="lacks"):
        await store.log.hashes([Subtree(8, 0)])


async def test_writers_of_many_kinds_at_once_get_one_order_without_gaps(store: Store) -> None:
    async def _decide(number: int) -> None:
        await store.decisions.add_many([(f"dec-{number}", NOW, "inference", "dev-1", "allow", b"{}")])

    await asyncio.gather(*map(_decide, range(40)), *(fill(store, 3, begin=3 * number) for number in range(20)))
    kept = await store.log.page(0, 4096)
    assert [one.place for one in kept] == list(range(100))
    assert len({one.entry.id for one in kept}) == 100


async def test_two_stores_on_one_database_share_the_order(store: Store, replica: Store) -> None:
    await asyncio.gather(*(fill(one, 30, begin=begin) for one, begin in ((store, 0), (replica, 30))))
    kept = await store.log.page(0, 100)
    assert [one.place for one in kept] == list(range(60))
    assert {one.entry.id for one in kept} == {f"ev-{number}" for number in range(60)}


async def test_the_latest_checkpoints_are_kept(store: Store) -> None:
    assert await store.log.checkpoint() is None
    for size in range(1, 8):
        await store.log.keep_checkpoint(size, NOW + size, f"note {size}\n", keep=3)
    await store.log.keep_checkpoint(7, NOW + 9, "note 7 with a witness\n", keep=3)
    assert await store.log.checkpoint() == (7, NOW + 9, "note 7 with a witness\n")
    rows = await store._database.read("count", text("SELECT count(*) FROM log_checkpoints"))
    assert rows[0][0] == 3


async def test_an_entry_that_somebody_wrote_otherwise_is_not_read_as_ours(store: Store) -> None:
    await fill(store, 1)
    await store._database.change("spoil", text("UPDATE log_entries SET kind = 'nonsense'"))
    with pytest.raises(StoreUnavailable, match="not as ztfm writes it"):
        await store.log.page(0, 1)


async def test_nothing_is_appended_where_there_is_nothing(store: Store) -> None:
    await store._database.bulk("append", lambda connection: append(connection, "event", []))
    assert await store.log.size() == 0


def test_an_entry_of_an_unknown_kind_is_none() -> None:
    with pytest.raises(ValueError, match="kind"):
        Entry.model_validate({"commitment": "0" * 64, "id": "x", "kind": "other", "time_ms": 0})


async def test_what_is_void_is_logged_with_what_makes_it_so(store: Store) -> None:
    notice = status_notice({"dev-1"}, "revoked", NOW, "admin", "dec-1")
    await store.revocations.add(notice)
    kept = await store.log.page(0, 10)
    assert [(one.entry.kind, one.entry.id) for one in kept] == [("event", "dec-1")] * len(notice.events)
    assert b"dev-1" in (kept[0].document or b"")
