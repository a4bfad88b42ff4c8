"""``ztfm budgets``: on the store itself, as it stands now and as it stood."""

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from controlplane.cli.commands import app
from controlplane.contracts.budgets import LeaseUse
from controlplane.storage import open_store
from tests.controlplane.storage.conftest import NOW
from tests.controlplane.storage.test_budgets import GATEWAY, LIMITS, lease

AT = "2026-01-01T00:30Z"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder where something was leased in one hour, and a part of it settled."""
    made = tmp_path_factory.mktemp("state")

    async def fill() -> None:
        store = await open_store(f"sqlite+aiosqlite:///{made / 'ztfm.db'}")
        assert await store.budgets.lease(lease(1, 4, 400), GATEWAY, LIMITS, NOW)
        assert await store.budgets.lease(lease(2, 1, 100, "dev-b"), GATEWAY, LIMITS, NOW)
        await store.budgets.settle(GATEWAY, [LeaseUse(lease="lease-1", requests=3, tokens=250)], NOW)
        await store.close()

    asyncio.run(fill())
    return made


def run(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["budgets", *words, "--state-dir", str(folder)])


def test_the_fullest_are_listed_first_with_what_is_used_leased_and_left(folder: Path) -> None:
    done = run(folder, "list", "--at", AT, "--json")
    found = json.loads(done.stdout)["budgets"]
    assert [one["id"] for one in found][:4] == ["m", "m", "homes", "homes"]
    assert found[0]["used"] == {"requests": 3, "tokens": 250}
    assert found[0]["leased"] == {"requests": 1, "tokens": 100}
    assert {
        one["scope"]
        for one in json.loads(run(folder, "list", "--at", AT, "--scope", "subject", "--json").stdout)["budgets"]
    } == {"subject"}
    shown = run(folder, "list", "--at", AT, "--limit", "1").stdout
    assert "model m, this day, until 2026-01-02 00:00 UTC" in shown
    assert "requests  3 used, 1 leased, of 10 (40%)" in shown


def test_one_is_shown_by_kind_and_name(folder: Path) -> None:
    shown = run(folder, "show", "subject", "dev-a", "--at", AT).stdout
    assert "tokens    250 used, 0 leased, of 1000 (25%)" in shown
    assert shown.count("subject dev-a") == 2
    missing = run(folder, "show", "segment", "dev-a", "--at", AT)
    assert (missing.exit_code, "nothing was leased" in missing.output) == (1, True)


def test_of_another_hour_nothing_is_told_and_a_time_that_is_none_is_refused(folder: Path) -> None:
    empty = run(folder, "list", "--at", "2026-01-02T00:30Z")
    assert (empty.exit_code, empty.stdout) == (0, "")
    assert run(folder, "list", "--at", "yesterday").exit_code == 2
    assert run(folder / "none", "list").exit_code == 1
