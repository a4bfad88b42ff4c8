"""What is released was verified and checked; what is refused changes nothing and says why."""

import asyncio
import threading
from collections.abc import Callable

import pytest
from sqlalchemy import update

from controlplane.bundles import BundleRefused, BundleSigner, Trust, VerifiedBundle
from controlplane.contracts.policies import digest_of
from controlplane.releases.errors import NoSuchRelease
from controlplane.releases.publishing import MOST_WAITING, Publisher
from controlplane.storage import Store
from controlplane.storage.releases import NewRelease
from controlplane.storage.tables_policies import policy_bundles
from tests.controlplane.releases.samples import NOW, Counting, revision, signed


def publisher(
    store: Store, trust: Trust, counted: Counting, check: Callable[[VerifiedBundle], None] = lambda _: None
) -> Publisher:
    return Publisher(store.releases, trust, check, lambda: NOW, counted)


async def test_a_signed_bundle_is_released_and_counted(
    store: Store, signer: BundleSigner, trust: Trust, counted: Counting
) -> None:
    checked: list[str] = []
    body = signed(signer, "A")
    release = await publisher(store, trust, counted, lambda it: checked.append(it.revision)).publish(
        body, "base", "local:author"
    )
    assert checked == [revision("A")]
    assert (release.revision, release.digest, release.key_id) == (revision("A"), digest_of(body), signer.key_id)
    assert (release.origin, release.published_by, release.published_at) == ("published", "local:author", NOW)
    assert await store.releases.heads() == {"base": release}
    assert counted.releases == [release]


async def test_what_is_published_and_current_is_not_released_again_unless_it_only_came_with_the_installation(
    store: Store, signer: BundleSigner, trust: Trust, counted: Counting
) -> None:
    body = signed(signer, "A")
    new = NewRelease("base", revision("A"), signer.key_id, "built_in", NOW, "ztfm")
    await store.releases.add(new, body)
    one = publisher(store, trust, counted)
    first = await one.publish(body, "base", "local:author")
    assert first.origin == "published"
    assert await one.publish(body, "base", "local:another") == first
    assert len(await store.releases.recent(("base",))) == 2
    assert counted.releases == [first]


@pytest.mark.parametrize("spoilt", [b"", b"spoilt"])
async def test_what_was_spoilt_in_the_store_is_put_right_by_publishing_it_again(
    store: Store, signer: BundleSigner, trust: Trust, counted: Counting, spoilt: bytes
) -> None:
    one, body = publisher(store, trust, counted), signed(signer, "A")
    first = await one.publish(body, "base", "local:author")
    await store._database.change("spoil", update(policy_bundles).values(body=spoilt))
    again = await one.publish(body, "base", "local:author")
    assert again.sequence > first.sequence
    assert await store.releases.body(again.digest) == body


async def test_a_bundle_that_does_not_verify_is_refused_with_its_reason(
    store: Store, signer: BundleSigner, trust: Trust, counted: Counting
) -> None:
    one = publisher(store, trust, counted)
    good = await one.publish(signed(signer, "A"), "base", "local:author")
    bad = {
        "untrusted": (signed(BundleSigner.generate(), "B"), "base"),
        "conflicting": (signed(signer, "B", "site"), "base"),
        "malformed": (b"no bundle", "base"),
    }
    for reason, (body, layer) in bad.items():
        with pytest.raises(BundleRefused) as raised:
            await one.publish(body, layer, "local:author")  # type: ignore[arg-type]
        assert raised.value.reason == reason
        assert one.refusals["base"].reason == reason
    assert [refusal.reason for refusal in counted.refusals] == list(bad)
    assert await store.releases.heads() == {"base": good}
    await one.publish(signed(signer, "C"), "base", "local:author")
    assert "base" not in one.refusals


async def test_a_bundle_that_fails_its_checks_is_not_released(
    store: Store, signer: BundleSigner, trust: Trust, counted: Counting
) -> None:
    def check(_verified: VerifiedBundle) -> None:
        raise BundleRefused("fails_tests", "one test fails")

    one = publisher(store, trust, counted, check)
    with pytest.raises(BundleRefused, match="one test fails"):
        await one.publish(signed(signer, "A"), "base", "local:author")
    assert await store.releases.heads() == {}
    assert one.refusals["base"].detail == "one test fails"


async def test_few_bundles_are_held_while_one_is_checked(
    store: Store, signer: BundleSigner, trust: Trust, counted: Counting
) -> None:
    go_on = threading.Event()
    one = publisher(store, trust, counted, lambda _: go_on.wait(30) or None)
    waiting = [
        asyncio.create_task(one.publish(signed(signer, f"{number}"), "base", "local:author"))
        for number in range(MOST_WAITING)
    ]
    while one._waiting < MOST_WAITING:  # noqa: ASYNC110 - nothing tells
        await asyncio.sleep(0.01)
    with pytest.raises(BundleRefused) as raised:
        await one.publish(signed(signer, "more"), "base", "local:author")
    assert raised.value.reason == "cannot_be_checked"
    go_on.set()
    assert len({release.sequence for release in await asyncio.gather(*waiting)}) == MOST_WAITING


async def test_of_two_that_publish_the_same_at_once_one_releases_it(
    store: Store, signer: BundleSigner, trust: Trust, counted: Counting
) -> None:
    body = signed(signer, "A")
    publishers = [publisher(store, trust, counted) for _ in range(4)]
    made = await asyncio.gather(*(one.publish(body, "base", "local:author") for one in publishers))
    assert len({release.sequence for release in made}) == 1
    assert len(await store.releases.recent(("base",))) == 1


async def test_going_back_releases_the_earlier_bundle_again_and_again_further_back(
    store: Store, signer: BundleSigner, trust: Trust, counted: Counting
) -> None:
    one = publisher(store, trust, counted)
    bodies = {name: signed(signer, name) for name in "ABC"}
    for body in bodies.values():
        await one.publish(body, "base", "local:author")
    back = await one.rollback("base", None, "local:operator")
    assert (back.revision, back.origin, back.published_by) == (revision("B"), "rolled_back", "local:operator")
    assert back.digest == digest_of(bodies["B"])
    assert (await one.rollback("base", None, "local:operator")).revision == revision("A")
    with pytest.raises(NoSuchRelease):
        await one.rollback("base", None, "local:operator")
    assert (await one.rollback("base", revision("C"), "local:operator")).revision == revision("C")
    with pytest.raises(NoSuchRelease, match="already"):
        await one.rollback("base", revision("C"), "local:operator")
    with pytest.raises(NoSuchRelease):
        await one.rollback("site", None, "local:operator")


async def test_nobody_goes_back_to_what_is_no_longer_trusted_or_was_changed(
    store: Store, signer: BundleSigner, trust: Trust, counted: Counting
) -> None:
    other = BundleSigner.generate()
    await publisher(store, Trust.of_key(other.public_key), counted).publish(signed(other, "A"), "base", "local:author")
    one = publisher(store, trust, counted)
    current = await one.publish(signed(signer, "B"), "base", "local:author")
    with pytest.raises(BundleRefused) as raised:
        await one.rollback("base", None, "local:operator")
    assert raised.value.reason == "untrusted"
    await one.publish(signed(signer, "C"), "base", "local:author")
    changed = update(policy_bundles).where(policy_bundles.c.digest == current.digest).values(body=signed(signer, "D"))
    await store._database.change("change a bundle", changed)
    with pytest.raises(BundleRefused) as raised:
        await one.rollback("base", None, "local:operator")
    assert raised.value.reason == "tampered"
    heads = await store.releases.heads()
    assert heads["base"].revision == revision("C")
