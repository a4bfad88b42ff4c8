import asyncio

import pytest

from controlplane.contracts.identity import EnrolmentGrant
from controlplane.storage import Store, StoreUnavailable

NOW = 1_767_225_600.0


def _grant(**changes: object) -> EnrolmentGrant:
    known = {"roles": ["trainer", "consumer"], "segment": "homes", "expires_at": NOW + 0.125, "uses": 0}
    return EnrolmentGrant.model_validate({**known, **changes})


async def test_a_grant_reads_back_as_it_was_kept(store: Store) -> None:
    await store.tokens.add_many({"h1": _grant(), "h2": _grant(segment="core")})
    assert await store.tokens.get("h1") == _grant()
    assert await store.tokens.get("h3") is None


async def test_tokens_are_kept_all_or_none(store: Store) -> None:
    await store.tokens.add_many({"h1": _grant()})
    with pytest.raises(StoreUnavailable):
        await store.tokens.add_many({"h0": _grant(), "h1": _grant(), "h2": _grant()})
    assert [await store.tokens.get(name) for name in ("h0", "h2")] == [None, None]
    await store.tokens.add_many({})


async def test_a_token_is_used_up_once_by_whoever_comes_first(store: Store, replica: Store) -> None:
    await store.tokens.add_many({"h1": _grant()})
    tries = (side.tokens.consume("h1", NOW) for side in [store, replica] * 10)
    assert sum(await asyncio.gather(*tries)) == 1
    assert await store.tokens.get("h1") == _grant(uses=1)


async def test_a_purge_forgets_what_expired_and_nothing_else(store: Store) -> None:
    await store.tokens.add_many({"old": _grant(expires_at=NOW), "new": _grant(expires_at=NOW + 1)})
    assert await store.tokens.purge(NOW) == 1
    assert await store.tokens.get("old") is None
    assert await store.tokens.get("new") is not None
