import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from controlplane.contracts.identity import Device
from controlplane.identity.registry import Registry
from controlplane.identity.tokens import MAX_ISSUED, MAX_LIFETIME_SECONDS, EnrolmentTokens, token_digest
from controlplane.storage import Store

NOW = 1_767_225_600.0


async def test_an_issued_token_says_what_it_allows_and_holds_once(
    store: Store, clock: Any, new_device: Callable[..., Device]
) -> None:
    tokens, registry = EnrolmentTokens(store.tokens, clock), Registry(store, clock)
    [token] = await tokens.issue(["trainer", "consumer"], "homes", 60.0)
    grant = await tokens.lookup(token)
    assert grant is not None
    assert (grant.roles, grant.segment, grant.expires_at, grant.uses) == (["trainer", "consumer"], "homes", NOW + 60, 0)
    assert await registry.enrol(token, new_device())
    used = await tokens.lookup(token)
    assert used is not None
    assert used.uses == 1
    assert not await registry.enrol(token, new_device())


async def test_the_database_knows_hashes_alone(store: Store, clock: Any, database: Path) -> None:
    issued = await EnrolmentTokens(store.tokens, clock).issue(["trainer"], "homes", 60.0, count=5)
    await store.close()
    content = b"".join(path.read_bytes() for path in database.parent.iterdir())
    for token in issued:
        assert token_digest(token).encode() in content
        assert token.encode() not in content
        assert token.removeprefix("ztfm-enrol-")[:16].encode() not in content


async def test_no_two_tokens_are_alike_and_none_can_be_guessed(store: Store, clock: Any) -> None:
    issued = await EnrolmentTokens(store.tokens, clock).issue(["trainer"], "homes", 60.0, count=500)
    assert len(set(issued)) == 500
    assert all(len(token) == len("ztfm-enrol-") + 43 for token in issued)


@pytest.mark.parametrize(
    "changes",
    [
        {"count": 0},
        {"count": -1},
        {"count": MAX_ISSUED + 1},
        {"lifetime_seconds": 0.0},
        {"lifetime_seconds": -1.0},
        {"lifetime_seconds": MAX_LIFETIME_SECONDS + 1},
        {"lifetime_seconds": math.nan},
        {"lifetime_seconds": math.inf},
        {"roles": []},
        {"roles": ["Trainer"]},
        {"roles": ["trainer"] * 9},
        {"segment": ""},
        {"segment": "at home"},
    ],
)
async def test_what_is_out_of_bounds_issues_nothing(store: Store, clock: Any, changes: dict[str, Any]) -> None:
    asked = {"roles": ["trainer"], "segment": "homes", "lifetime_seconds": 60.0, **changes}
    with pytest.raises((ValueError, ValidationError)):
        await EnrolmentTokens(store.tokens, clock).issue(**asked)
    assert await store.tokens.purge(math.inf) == 0


@pytest.mark.parametrize("token", ["", "ztfm-enrol-", "ztfm-enrol-guess", "guess", "ztfm-enrol-\ud800", "\0"])
async def test_what_nobody_issued_is_none(store: Store, clock: Any, token: str) -> None:
    assert await EnrolmentTokens(store.tokens, clock).lookup(token) is None


async def test_the_hash_of_a_token_is_no_token(store: Store, clock: Any) -> None:
    tokens = EnrolmentTokens(store.tokens, clock)
    [token] = await tokens.issue(["trainer"], "homes", 60.0)
    assert await tokens.lookup(token_digest(token)) is None
    assert await tokens.lookup(token.upper()) is None
    assert await tokens.lookup(f"{token} ") is None


@given(st.text(), st.text())
def test_two_texts_have_two_digests(one: str, other: str) -> None:
    assert (token_digest(one) == token_digest(other)) is (one == other)
