from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.storage import Store, StoreUnavailable
from controlplane.storage.database import Database
from controlplane.storage.decisions import DecisionRow, Wanted

NOW = 1_767_225_600.0


def _row(name: str, time: float = NOW, document: bytes = b"{}") -> DecisionRow:
    return name, time, "inference", "dev-a", "allow", document


async def test_a_record_reads_back_byte_for_byte(store: Store) -> None:
    document = bytes(range(256)) * 40
    await store.decisions.add_many([_row("dec-1", document=document), _row("dec-2")])
    assert await store.decisions.get("dec-1") == document
    assert await store.decisions.get("dec-2") == b"{}"
    assert await store.decisions.get("dec-3") is None


async def test_records_are_kept_all_or_none(store: Store) -> None:
    await store.decisions.add_many([])
    await store.decisions.add_many([_row("dec-1")])
    with pytest.raises(StoreUnavailable, match="record decisions"):
        await store.decisions.add_many([_row("dec-0"), _row("dec-1"), _row("dec-2")])
    assert [await store.decisions.get(name) for name in ("dec-0", "dec-2")] == [None, None]


@pytest.mark.parametrize("name", ["", "a\0b", "\ud800", "x" * 200, "../dec-1", "dec-1\n", "dec-1' OR '1'='1"])
async def test_what_cannot_be_an_identifier_is_none(store: Store, name: str) -> None:
    await store.decisions.add_many([_row("dec-1")])
    assert await store.decisions.get(name) is None


async def test_a_purge_forgets_what_is_older_and_nothing_else(store: Store) -> None:
    await store.decisions.add_many([_row("old", NOW - 1), _row("edge", NOW), _row("new", NOW + 1)])
    assert await store.decisions.purge(NOW) == 1
    assert await store.decisions.get("old") is None
    assert await store.decisions.get("edge") is not None


async def test_a_purge_of_one_package_looks_at_its_own_and_only_from_where_it_is_told(store: Store) -> None:
    rows = [(f"{action}-{age}", NOW - age, action, "dev-a", "allow", b"{}") for action in "ab" for age in range(1, 6)]
    await store.decisions.add_many(rows)
    assert await store.decisions.purge(NOW - 1, since=NOW - 3, action="a") == 2
    assert await store.decisions.purge(NOW - 3, since=NOW - 3, action="a") == 0
    left = {row[0] for row in rows if await store.decisions.get(row[0]) is not None}
    assert left == {row[0] for row in rows} - {"a-3", "a-2"}


async def test_a_purge_of_much_is_many_small_ones_and_others_write_in_between(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controlplane.storage.decisions._SLICE", 10)
    await store.decisions.add_many([_row(f"old-{number}", NOW - 100 + number // 30) for number in range(95)])
    sizes = []
    write = Database.write

    async def watched(self: Database, what: str, work: Callable[[AsyncConnection], Awaitable[int]]) -> int:
        if self is not store.decisions._database:
            # Of a control plane of other tests, which serves in a thread of its own.
            return await write(self, what, work)
        sizes.append(await write(self, what, work))
        await store.decisions.add_many([_row(f"new-{len(sizes)}")])
        return sizes[-1]

    monkeypatch.setattr(Database, "write", watched)
    assert await store.decisions.purge(NOW) == 95
    assert sizes == [10] * 9 + [5]
    assert await store.decisions.count(Wanted()) == 10


async def test_what_was_allowed_to_some_subjects_is_found_by_time(store: Store) -> None:
    rows: list[DecisionRow] = [
        (f"dec-{number}", NOW + number, "inference", f"dev-{number % 3}", "allow" if number != 4 else "deny", b"{}")
        for number in range(9)
    ]
    await store.decisions.add_many(rows)
    found = await store.decisions.allowed({"dev-0", "dev-1"}, NOW + 1, NOW + 7)
    assert sorted(found) == sorted(
        (row[3], row[1], row[0]) for row in rows if row[0] in {"dec-1", "dec-3", "dec-6", "dec-7"}
    )
    assert await store.decisions.allowed([], NOW, NOW + 9) == []
    assert await store.decisions.allowed([f"dev-{number}" for number in range(1200)], NOW, NOW + 9) != []


def _many(count: int) -> list[DecisionRow]:
    """Rows in order of id and time; each third is of another subject, each fourth denied."""
    return [
        (
            f"dec-{number:05d}",
            NOW + number,
            "admin" if number % 5 == 0 else "inference",
            f"dev-{number % 3}",
            "deny" if number % 4 == 0 else "allow",
            b"%d" % number,
        )
        for number in range(count)
    ]


async def _all(store: Store, wanted: Wanted, limit: int, scan: int) -> list[str]:
    found: list[str] = []
    for _ in range(1000):
        page = await store.decisions.page(wanted, limit, scan)
        assert len(page.records) <= limit
        found += [name for name, _, _ in page.records]
        if page.before is None:
            return found
        wanted = replace(wanted, before=page.before)
    raise AssertionError("the pages do not end")


@pytest.mark.parametrize("scan", [1, 2, 7, 100, 101, 1000])
@pytest.mark.parametrize("limit", [1, 3, 100])
async def test_pages_hold_each_wanted_record_once_newest_first(store: Store, limit: int, scan: int) -> None:
    rows = _many(100)
    await store.decisions.add_many(rows)
    wanted = Wanted(subject="dev-1", outcome="allow", actions=("inference",))
    expected = [row[0] for row in rows if row[2:5] == ("inference", "dev-1", "allow")]
    assert await _all(store, wanted, limit, scan) == expected[::-1]
    assert await store.decisions.count(wanted) == len(expected)


async def test_a_page_is_bounded_by_id_and_by_time(store: Store) -> None:
    rows = _many(20)
    await store.decisions.add_many(rows)
    by_id = await store.decisions.page(Wanted(before="dec-00012", floor="dec-00008"), 100, 100)
    assert [name for name, _, _ in by_id.records] == ["dec-00011", "dec-00010", "dec-00009"]
    by_time = await store.decisions.page(Wanted(since=NOW + 3, until=NOW + 5), 100, 100)
    assert by_time.records == [("dec-00004", "inference", b"4"), ("dec-00003", "inference", b"3")]
    assert by_time.before is None


async def test_what_is_rare_costs_a_page_no_more_than_its_reach(store: Store) -> None:
    await store.decisions.add_many(_many(50))
    page = await store.decisions.page(Wanted(subject="dev-nobody"), 10, 20)
    assert page.records == []
    assert page.before == "dec-00030"


async def test_an_empty_log_has_one_empty_page(store: Store) -> None:
    page = await store.decisions.page(Wanted(), 10, 10)
    assert (page.records, page.before) == ([], None)
