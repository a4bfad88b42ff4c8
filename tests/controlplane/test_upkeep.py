"""What has had its time is forgotten, and a store that fails ends no upkeep."""

import asyncio
from functools import partial
from pathlib import Path

import pytest

from controlplane.contracts.policies import digest_of
from controlplane.identity.tokens import EnrolmentTokens
from controlplane.storage import open_store
from controlplane.storage.releases import KEPT, NewRelease
from controlplane.upkeep import DAY_SECONDS, keep_up

NOW = 1_800_000_000.0


Retention = dict[str, float]


async def passes(store: object, *retention: Retention) -> None:
    """Run a pass of upkeep with each of these answers of policy."""
    done = 0

    async def asked() -> Retention:
        return retention[done]

    async def sleep(_seconds: float) -> None:
        nonlocal done
        done += 1
        if done >= len(retention):
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await keep_up(store, 90.0, asked, lambda: NOW, sleep)  # type: ignore[arg-type]


async def test_old_decisions_and_spent_tokens_are_forgotten_and_others_kept(tmp_path: Path) -> None:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}")
    try:
        for name, age in (("old", 91.0), ("young", 89.0)):
            await store.decisions.add_many([(name, NOW - age * DAY_SECONDS, "inference", "dev-1", "deny", b"{}")])
        for age in (9.0, 6.0):
            issued_at = partial(float, NOW - age * DAY_SECONDS)
            await EnrolmentTokens(store.tokens, issued_at).issue(["a"], "b", 60.0)
        await passes(store, {})
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
        await passes(store, {})
        assert await store.idempotency.purge(NOW + 1.0) == 1
    finally:
        await store.close()


async def test_a_store_that_fails_is_tried_again(tmp_path: Path) -> None:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}")
    await store.close()
    await passes(store, {}, {"admin": 1.0}, {})


async def test_policy_shortens_what_the_setting_allows_and_never_lengthens_it(tmp_path: Path) -> None:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}")
    try:
        kept = [("inference", 91), ("inference", 31), ("inference", 29), ("admin", 91), ("admin", 89), ("other", 60)]
        for action, days in kept:
            row = (f"{action}-{days}", NOW - days * DAY_SECONDS, action, "dev-1", "deny", b"{}")
            await store.decisions.add_many([row])
        await passes(store, {"inference": 30.0, "admin": 365.0})
        left = [(action, days) for action, days in kept if await store.decisions.get(f"{action}-{days}") is not None]
        assert left == [("inference", 29), ("admin", 89), ("other", 60)]
        await passes(store, {"other": 61.0}, {"other": 59.0}, {"other": 10.0, "inference": 28.0})
        left = [(action, days) for action, days in left if await store.decisions.get(f"{action}-{days}") is not None]
        assert left == [("admin", 89)]
    finally:
        await store.close()


async def test_a_policy_that_says_nothing_leaves_it_to_the_setting(tmp_path: Path) -> None:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}")
    try:
        await store.decisions.add_many([("dec-1", NOW - 89 * DAY_SECONDS, "admin", "dev-1", "deny", b"{}")])
        await passes(store, {}, {})
        assert await store.decisions.get("dec-1") == b"{}"
    finally:
        await store.close()


async def test_old_releases_of_policies_are_forgotten_and_the_newest_kept(tmp_path: Path) -> None:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}")
    try:
        for number in range(KEPT + 2):
            new = NewRelease("base", f"nogit.{number:016}", "k" * 43, "published", NOW, "local:author")
            await store.releases.add(new, str(number).encode())
        await passes(store, {})
        assert len(await store.releases.recent(("base",), 1_000)) == KEPT
        assert await store.releases.body(digest_of(b"1")) is None
        assert (await store.releases.heads())["base"].revision == f"nogit.{KEPT + 1:016}"
    finally:
        await store.close()
