"""What has had its time is forgotten, and a store that fails ends no upkeep."""

import asyncio
from functools import partial
from pathlib import Path

import pytest

from controlplane.identity.tokens import EnrolmentTokens
from controlplane.storage import open_store
from controlplane.upkeep import DAY_SECONDS, keep_up

NOW = 1_800_000_000.0


async def passes(store: object, count: int) -> None:
    """Run so many passes of upkeep."""
    done = 0

    async def sleep(_seconds: float) -> None:
        nonlocal done
        done += 1
        if done >= count:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await keep_up(store, 90.0, lambda: NOW, sleep)  # type: ignore[arg-type]


async def test_old_decisions_and_spent_tokens_are_forgotten_and_others_kept(tmp_path: Path) -> None:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}")
    try:
        for name, age in (("old", 91.0), ("young", 89.0)):
            await store.decisions.add_many([(name, NOW - age * DAY_SECONDS, "inference", "dev-1", "deny", b"{}")])
        for age in (9.0, 6.0):
            issued_at = partial(float, NOW - age * DAY_SECONDS)
            await EnrolmentTokens(store.tokens, issued_at).issue(["a"], "b", 60.0)
        await passes(store, 1)
        assert await store.decisions.get("old") is None
        assert await store.decisions.get("young") == b"{}"
        assert await store.tokens.purge(NOW) == 1
    finally:
        await store.close()


async def test_answers_that_had_their_time_are_forgotten_and_others_kept(tmp_path: Path) -> None:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}")
    try:
        for name, until in (("past", NOW), ("now", NOW + 1.0)):
            assert await store.idempotency.claim(name, "r", NOW - 60.0, until) == "claimed"
        await passes(store, 1)
        assert await store.idempotency.purge(NOW + 1.0) == 1
    finally:
        await store.close()


async def test_a_store_that_fails_is_tried_again(tmp_path: Path) -> None:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}")
    await store.close()
    await passes(store, 3)
