"""Secrets as they are kept: one of a name, bounded, sealed under their name, forgotten for good."""

import asyncio

import pytest
from sqlalchemy import text

from controlplane.capabilities.errors import SealError
from controlplane.capabilities.sealing import Sealer
from controlplane.confidentiality.keeping import SecretBook
from controlplane.contracts.secrets import KeptSecret, RegisteredSecret
from controlplane.storage import Store, StoreUnavailable
from tests.controlplane.storage.conftest import NOW

VALUE = b"a secret of thirty-two bytes ..."


def book(store: Store, key: bytes = b"k" * 32, most: int = 10) -> SecretBook:
    return SecretBook(store.secrets, Sealer(key), lambda: NOW, most)


async def opened(found: SecretBook, name: str) -> bytes:
    kept = await found.find(name)
    assert kept is not None
    return found.open(kept)


async def test_what_is_registered_opens_again_and_stays_what_it_is(store: Store) -> None:
    found = book(store)
    registered = await found.register("m/adapter", VALUE, "dev-1")
    assert registered == RegisteredSecret(
        id="m/adapter", size_bytes=32, made_here=False, registered_by="dev-1", registered_at=NOW
    )
    assert await found.register("m/adapter", b"another one of its name", "dev-2") == "known"
    assert await opened(found, "m/adapter") == VALUE
    assert await found.all() == [registered]


async def test_what_is_made_here_is_another_each_time(store: Store) -> None:
    found = book(store)
    for name in ("one", "two"):
        made = await found.register(name, None, "dev-1")
        assert isinstance(made, RegisteredSecret)
        assert (made.size_bytes, made.made_here) == (32, True)
    assert await opened(found, "one") != await opened(found, "two")


async def test_only_so_many_are_kept_and_what_is_withdrawn_makes_room(store: Store) -> None:
    found = book(store, most=2)
    outcomes = await asyncio.gather(*(found.register(f"s-{number}", None, "dev-1") for number in range(5)))
    assert sum(outcome == "full" for outcome in outcomes) == 3
    [first, _] = await found.all()
    assert await found.withdraw(first.id)
    assert not await found.withdraw(first.id)
    assert await found.find(first.id) is None
    assert isinstance(await found.register("another", None, "dev-1"), RegisteredSecret)


async def test_nothing_opens_with_another_sealing_key_or_under_another_name(store: Store) -> None:
    await book(store).register("one", VALUE, "dev-1")
    with pytest.raises(SealError):
        await opened(book(store, b"o" * 32), "one")
    kept = await store.secrets.get("one")
    assert kept is not None
    assert VALUE not in kept.sealed
    moved = KeptSecret(kept.registered.model_copy(update={"id": "two"}), kept.sealed)
    with pytest.raises(SealError):
        book(store).open(moved)


@pytest.mark.parametrize("size", [0, 15, 513])
async def test_a_secret_has_sixteen_to_512_bytes(store: Store, size: int) -> None:
    with pytest.raises(ValueError, match="16 to 512"):
        await book(store).register("one", bytes(size), "dev-1")
    assert await store.secrets.all() == []


async def test_what_nobody_writes_is_not_read_as_a_secret(store: Store) -> None:
    await book(store).register("one", VALUE, "dev-1")
    await store.secrets._database.change("spoil it", text("UPDATE released_secrets SET size_bytes = 7"))
    for reading in (store.secrets.get("one"), store.secrets.all()):
        with pytest.raises(StoreUnavailable):
            await reading
    assert await store.secrets.get("no such\x00name") is None
