import pytest

from controlplane.storage import Store, StoreUnavailable
from controlplane.storage.decisions import DecisionRow

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
