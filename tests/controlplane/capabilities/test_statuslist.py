import json
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.capabilities.keyset import read_keys
from controlplane.capabilities.statuslist import (
    LIST_BITS,
    compress,
    decompress,
    is_set,
    list_uri,
    place_of,
    place_text,
    read_place,
    status_of,
    window_of,
)
from controlplane.capabilities.statuspublishing import StatusLists
from controlplane.capabilities.statustokens import read_list, sign_list
from controlplane.contracts.capability import CapabilityClaims
from controlplane.jose.jws import encode_segment
from controlplane.jose.keys import SigningKey, jwks
from controlplane.storage import Store
from tests.controlplane.capabilities.announced import replicas
from tests.controlplane.capabilities.conftest import ISSUER, START, World

SPECIFIED = (
    "eNrt3AENwCAMAEGogklACtKQPg9LugC9k_ACvreiogEAAKkeCQAAAAAAAAAAAAAAAAAAAIBylgQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAXG9IAAAAAAAAAPwsJAAAAAAAAAAAAAAAvhsSAAAAAAAAAAAA7KpLAAAAAAAAAAAAAAAAAAAAAJsLCQAAAAAAAAAAAD"
    "jelAAAAAAAAAAAKjDMAQAAAACAZC8L2AEb"
)
"""The 1-bit test vector of the specification, with 2^20 entries (section C.1)."""

SPECIFIED_PLACES = {0, 1993, 25460, 159495, 495669, 554353, 645645, 723232, 854545, 934534, 1000345}
URI = f"{ISSUER}/v1/status-lists/7"


def independent(token_or_list: str) -> set[int]:
    """Return the set places of a list, read as the specification says and with nothing of ours."""
    lst = token_or_list
    if "." in lst:
        body = lst.split(".")[1]
        lst = json.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4)))["status_list"]["lst"]
    raw = zlib.decompress(urlsafe_b64decode(lst + "=" * (-len(lst) % 4)))
    return {8 * byte + bit for byte, value in enumerate(raw) for bit in range(8) if value & (1 << bit)}


def test_the_vector_of_the_specification_is_read() -> None:
    raw = decompress(SPECIFIED)
    assert {place for place in range(LIST_BITS) if is_set(raw, place)} == SPECIFIED_PLACES


def test_what_we_publish_is_what_the_specification_means() -> None:
    assert zlib.decompress(urlsafe_b64decode(SPECIFIED + "==")) == decompress(compress(SPECIFIED_PLACES))
    assert independent(compress(SPECIFIED_PLACES)) == SPECIFIED_PLACES


@given(st.sets(st.integers(0, LIST_BITS - 1), max_size=40))
def test_a_list_holds_the_places_that_were_set_and_no_others(places: set[int]) -> None:
    raw = decompress(compress(places))
    assert all(is_set(raw, place) for place in places)
    assert sum(byte.bit_count() for byte in raw) == len(places)


@pytest.mark.parametrize(
    "raw",
    [b"", zlib.compress(b""), zlib.compress(b"\0"), zlib.compress(bytes(LIST_BITS // 8 + 1)), b"no zlib at all"],
)
def test_what_is_no_list_of_our_size_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError):
        decompress(urlsafe_b64encode(raw).rstrip(b"=").decode())
    whole = zlib.compress(bytes(LIST_BITS // 8))
    for damaged in (whole[:-1], whole + b"\0"):
        with pytest.raises(ValueError):
            decompress(urlsafe_b64encode(damaged).rstrip(b"=").decode())


def test_a_bomb_is_not_unpacked() -> None:
    bomb = zlib.compress(bytes(64 * 1024 * 1024), 9)
    with pytest.raises(ValueError, match="size"):
        decompress(urlsafe_b64encode(bomb).rstrip(b"=").decode())


def test_a_place_is_written_and_read(world: World) -> None:
    _, claims = world.mint()
    window, place = window_of(claims.iat), place_of(claims.decision_id)
    assert read_place(place_text(window, place)) == (window, place)
    assert claims.status == status_of(ISSUER, claims.decision_id, claims.iat)
    assert claims.status.status_list.uri == list_uri(ISSUER, window)


def test_a_token_is_read_by_those_who_expect_it(world: World) -> None:
    keys = read_keys(jwks([world.signing]))
    token = sign_list(world.signing, ISSUER, URI, {1, 9}, START + 0.5)
    raw, issued_at = read_list(token, keys, ISSUER, URI, START + 1)
    assert issued_at == START
    assert is_set(raw, 1)
    assert not is_set(raw, 2)
    assert independent(token) == {1, 9}
    with pytest.raises(ValueError, match="another list"):
        read_list(token, keys, ISSUER, URI + "1", START)
    with pytest.raises(ValueError, match="another list"):
        read_list(token, keys, "https://evil.example", URI, START)
    with pytest.raises(ValueError, match="expired"):
        read_list(token, keys, ISSUER, URI, START + 30)
    with pytest.raises(KeyError):
        read_list(token, read_keys(jwks([SigningKey.generate()])), ISSUER, URI, START)


@pytest.mark.parametrize(
    ("header", "claims"),
    [
        ({"typ": "JWT"}, {}),
        ({"alg": "none"}, {}),
        ({"alg": "HS256"}, {}),
        ({"jku": "https://evil.example"}, {}),
        ({"kid": 7}, {}),
        ({}, {"exp": None}),
        ({}, {"ttl": -1}),
        ({}, {"status_list": {"bits": 2, "lst": SPECIFIED}}),
        ({}, {"status_list": {"bits": 1, "lst": "AAAA"}}),
        ({}, {"status_list": {"bits": 1, "lst": SPECIFIED, "more": 1}}),
        ({}, {"extra": 1}),
    ],
)
def test_what_is_no_status_list_is_refused(world: World, header: dict[str, Any], claims: dict[str, Any]) -> None:
    good = {
        "iss": ISSUER,
        "sub": URI,
        "iat": int(START),
        "exp": int(START) + 30,
        "ttl": 3,
        "status_list": {"bits": 1, "lst": SPECIFIED},
    }

    def signed(head: dict[str, Any], body: dict[str, Any]) -> str:
        stated = {"alg": "ES256", "kid": world.signing.kid, "typ": "statuslist+jwt", **head}
        return world.signing.sign(encode_segment(json.dumps(stated).encode()), json.dumps(body).encode())

    keys = read_keys(jwks([world.signing]))
    assert read_list(signed({}, good), keys, ISSUER, URI, START)[1] == START
    with pytest.raises(ValueError):
        read_list(signed(header, {**good, **claims}), keys, ISSUER, URI, START)


async def places(lists: StatusLists, window: int) -> set[int]:
    token = await lists.token(window)
    assert token is not None
    return independent(token)


def published(store: Store, world: World, clock: Callable[[], float]) -> StatusLists:
    return StatusLists(store.revocations, store.decisions, ISSUER, lambda: world.signing, clock)


async def test_a_revoked_capability_is_set_in_its_own_place(tmp_path: Path, world: World) -> None:
    async with replicas(tmp_path) as (one,), one.running():
        lists = published(one.store, world, one.clock)
        claims = world.mint()[1]
        window = window_of(claims.iat)
        assert await places(lists, window) == set()
        await one.revoker.revoke_capability(claims.jti, claims.exp, claims.decision_id, claims.iat, reason="Lost.")
        assert await places(lists, window) == set(), "at most a second old"
        one.clock.now += 1.0
        assert await places(lists, window) == {claims.status.status_list.idx}
        assert await places(lists, window - 1) == set()


async def recorded(store: Store, claims: CapabilityClaims, subject: str, outcome: str = "allow") -> None:
    await store.decisions.add_many([(claims.decision_id, claims.iat - 0.01, "inference", subject, outcome, b"{}")])


async def test_all_recent_places_of_a_subject_are_set_also_those_that_come_on_record_late(
    tmp_path: Path, world: World
) -> None:
    async with replicas(tmp_path) as (one,), one.running():
        world.clock = one.clock
        lists = published(one.store, world, one.clock)

        def capability(number: int) -> CapabilityClaims:
            claims = world.mint()[1]
            renamed = f"dec-{number}"
            status = status_of(ISSUER, renamed, one.clock.now)
            return claims.model_copy(update={"decision_id": renamed, "iat": one.clock.now, "status": status})

        held = capability(1)
        await recorded(one.store, held, held.sub)
        await recorded(one.store, capability(2), "dev-other")
        await recorded(one.store, capability(3), held.sub, "deny")
        one.clock.now += 100.0
        second = capability(4)
        await recorded(one.store, second, second.sub)
        await one.revoker.revoke_subject(held.sub, reason="Lost.")
        one.clock.now += 1.5
        late = capability(5)
        expected = {held.status.status_list.idx, second.status.status_list.idx}
        assert await places(lists, window_of(one.clock.now)) == expected
        await recorded(one.store, late, late.sub)
        one.clock.now += 3.0
        after = capability(6)
        await recorded(one.store, after, after.sub)
        expected.add(late.status.status_list.idx)
        assert await places(lists, window_of(one.clock.now)) == expected
        one.clock.now += 10.0
        assert await places(lists, window_of(one.clock.now)) == expected
        assert after.status.status_list.idx not in expected


async def test_only_lists_in_which_living_capabilities_stand_are_there(tmp_path: Path, world: World) -> None:
    async with replicas(tmp_path) as (one,):
        one.clock.now = 600.0 * 1000 + 500.0
        lists = published(one.store, world, one.clock)
        assert [await lists.token(window) is not None for window in range(997, 1004)] == [
            False,
            False,
            False,
            True,
            False,
            False,
            False,
        ]
        one.clock.now = 600.0 * 1000 + 100.0
        assert await lists.token(999) is not None
        one.clock.now = 600.0 * 1000 + 545.0
        assert await lists.token(1001) is not None
        assert await lists.token(-1) is None
        assert await lists.token(10**12) is None


async def test_a_list_is_made_at_most_once_a_second_and_anew_with_a_new_key(tmp_path: Path, world: World) -> None:
    async with replicas(tmp_path) as (one,):
        lists, window = published(one.store, world, one.clock), window_of(START)
        first = await lists.token(window)
        one.clock.now += 0.9
        assert await lists.token(window) == first
        world.signing = SigningKey.generate()
        assert await lists.token(window) != first
