"""Published policies: a bundle and its release are kept together; the newest release is the one that is to decide."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import String

from controlplane.contracts.policies import digest_of
from controlplane.storage import Store
from controlplane.storage.releases import NewRelease
from controlplane.storage.tables_policies import policy_shadows

NOW = 1_767_225_600.0


def new(**changes: Any) -> NewRelease:
    stated: dict[str, Any] = {
        "layer": "base",
        "revision": "nogit.0123456789abcdef",
        "key_id": "k" * 43,
        "origin": "published",
        "published_at": NOW,
        "published_by": "local:author",
    }
    return NewRelease(**{**stated, **changes})


async def test_the_newest_release_of_each_layer_is_its_head(store: Store) -> None:
    assert await store.releases.heads() == {}
    first = await store.releases.add(new(), b"first")
    site = await store.releases.add(new(layer="site"), b"site")
    second = await store.releases.add(new(revision="nogit.fedcba9876543210"), b"second")
    assert await store.releases.heads() == {"base": second, "site": site}
    assert first is not None
    assert await store.releases.get(first.sequence) == first
    assert await store.releases.get(10_000) is None
    assert await store.releases.recent(("base",)) == [second, first]
    assert await store.releases.recent(("base", "site"), 2) == [second, site]
    assert await store.releases.body(digest_of(b"second")) == b"second"
    assert await store.releases.body(digest_of(b"absent")) is None


async def test_a_bundle_that_is_released_twice_is_kept_once(store: Store) -> None:
    one, two = [await store.releases.add(new(), b"same") for _ in range(2)]
    assert one is not None
    assert two is not None
    assert one.digest == two.digest
    assert one.sequence < two.sequence


async def test_a_release_that_is_to_follow_another_changes_nothing_when_that_is_not_the_newest(store: Store) -> None:
    first = await store.releases.add(new(), b"first", after=0)
    assert first is not None
    assert await store.releases.add(new(), b"second", after=0) is None
    assert await store.releases.body(digest_of(b"second")) is None
    assert await store.releases.add(new(layer="site"), b"site", after=0) is not None
    assert await store.releases.add(new(), b"second", after=first.sequence) is not None


async def test_of_replicas_that_release_the_first_at_once_one_does(store: Store, replica: Store) -> None:
    both = await asyncio.gather(
        *(which.releases.add(new(), f"{number}".encode(), after=0) for number, which in enumerate((store, replica) * 3))
    )
    [made] = [release for release in both if release is not None]
    assert await replica.releases.heads() == {"base": made}
    assert await store.releases.recent(("base",)) == [made]


async def test_old_releases_go_and_bundles_that_nobody_names_with_them(store: Store) -> None:
    for number in range(5):
        await store.releases.add(new(published_at=NOW + number), f"{number}".encode())
    await store.releases.add(new(published_at=NOW + 5), b"0")
    await store.releases.add(new(layer="site"), b"site")

    # Whatever else a shadow has, it names a bundle.
    needed = [column for column in policy_shadows.c if not column.nullable and column.name != "digest"]
    values = {column.name: "s" if isinstance(column.type, String) else 0 for column in needed}
    await store._database.change("shadow", policy_shadows.insert().values({**values, "digest": digest_of(b"2")}))
    assert await store.releases.purge(2) == 4
    assert [release.digest for release in await store.releases.recent(("base",))] == [digest_of(b"0"), digest_of(b"4")]
    kept = {body for body in (b"0", b"1", b"2", b"3", b"4", b"site") if await store.releases.body(digest_of(body))}
    assert kept == {b"0", b"2", b"4", b"site"}


@pytest.mark.parametrize("size", [0, 3_000_000])
async def test_a_bundle_comes_back_as_it_was(store: Store, size: int) -> None:
    body = bytes(range(256)) * (size // 256)
    release = await store.releases.add(new(), body)
    assert release is not None
    assert release.size_bytes == len(body)
    assert await store.releases.body(release.digest) == body


async def test_a_release_is_logged_with_it_or_not_at_all(store: Store) -> None:
    first = await store.releases.add(new(), b"first")
    assert first is not None
    assert await store.releases.add(new(), b"late", after=first.sequence + 7) is None
    (kept,) = await store.log.page(0, 10)
    assert (kept.entry.kind, kept.entry.id) == ("release", f"base-{first.sequence}")
    assert kept.document == first.model_dump_json().encode()
