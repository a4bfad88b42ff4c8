"""The journal: an entry is on disk when it is said to be, and a death leaves nothing that stops the next run."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from adapters.fleet.errors import FleetError
from adapters.fleet.files import digest_of
from adapters.fleet.journal import Journal


def entry(name: str, state: str = "enrolled", **more: Any) -> dict[str, Any]:
    return {"name": name, "state": state, "roles": ["trainer"], "segment": "homes", **more}


def written(path: Path, *entries: dict[str, Any]) -> None:
    async def write(journal: Journal) -> None:
        await asyncio.gather(*(journal.write(one) for one in entries))

    with Journal(path) as journal:
        asyncio.run(write(journal))


def test_what_was_enrolled_is_remembered_and_what_failed_is_not(tmp_path: Path) -> None:
    path = tmp_path / "journal.ndjson"
    written(path, entry("a"), entry("b", "failed"))
    written(path, entry("c"))
    with Journal(path) as journal:
        assert journal.done == dict.fromkeys(("a", "c"), digest_of("trainer", "homes"))


def test_entries_that_are_written_together_are_whole_lines_and_all_there(tmp_path: Path) -> None:
    path = tmp_path / "journal.ndjson"
    written(path, *(entry(f"cam-{number}", filler="x" * 500) for number in range(300)))
    names = [json.loads(line)["name"] for line in path.read_text().splitlines()]
    assert sorted(names) == sorted(f"cam-{number}" for number in range(300))


def test_an_entry_is_on_disk_when_it_is_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[bytes] = []
    path, sync = tmp_path / "journal.ndjson", os.fsync

    def seen(descriptor: int) -> None:
        sync(descriptor)
        synced.append(path.read_bytes())

    async def write(journal: Journal) -> None:
        await journal.write(entry("a"))
        assert b'"a"' in synced[-1]

    monkeypatch.setattr(os, "fsync", seen)
    with Journal(path) as journal:
        asyncio.run(write(journal))


@pytest.mark.parametrize("torn", ['{"name":"b","state":"enr', "\0" * 100, "x"])
def test_a_line_that_a_death_cut_off_is_taken_out(tmp_path: Path, torn: str) -> None:
    path = tmp_path / "journal.ndjson"
    written(path, entry("a"))
    with path.open("a") as file:
        file.write(torn)
    written(path, entry("c"))
    with Journal(path) as journal:
        assert journal.done.keys() == {"a", "c"}


@pytest.mark.parametrize("line", ["[]", "no json", '{"state":"enrolled","name":"a"}', "x" * 70_000])
def test_a_journal_that_holds_something_else_is_not_written_into(tmp_path: Path, line: str) -> None:
    path = tmp_path / "journal.ndjson"
    path.write_text(f"{json.dumps(entry('a'))}\n{line}\n")
    before = path.read_bytes()
    with pytest.raises(FleetError, match=r"line 2 of .*move that file away"):
        Journal(path)
    assert path.read_bytes() == before


def test_one_run_at_a_time_has_it(tmp_path: Path) -> None:
    path = tmp_path / "journal.ndjson"
    with Journal(path), pytest.raises(FleetError, match="another run"):
        Journal(path)
    with Journal(path):
        pass


def test_a_disk_that_is_full_is_said_and_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "journal.ndjson"
    written(path, entry("a"))
    before, write = path.read_bytes(), os.write

    # A disk cannot be filled here; what writes to it fails half way, as it does then.
    def full(descriptor: int, data: bytes) -> int:
        if len(data) > 10:
            return write(descriptor, bytes(data[:10]))
        raise OSError(28, "No space left on device")

    async def fail(journal: Journal) -> None:
        monkeypatch.setattr(os, "write", lambda descriptor, data: full(descriptor, data[: max(10, len(data) - 10)]))
        with pytest.raises(FleetError, match="No space left"):
            await journal.write(entry("b"))

    with Journal(path) as journal:
        asyncio.run(fail(journal))
    assert path.read_bytes() == before
