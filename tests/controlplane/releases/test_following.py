"""What is released is verified anew before it decides, and what does not verify changes nothing."""

import asyncio
from collections.abc import Sequence

import pytest
from sqlalchemy import delete, insert, select, text, update

from controlplane.bundles import BundleSigner, Trust, VerifiedBundle
from controlplane.contracts.policies import PolicyLayer
from controlplane.releases.following import Follower, follow
from controlplane.releases.publishing import Publisher
from controlplane.releases.standing import latest, stand
from controlplane.storage import Store, StoreUnavailable, open_store
from controlplane.storage.releases import MAX_BODY_BYTES
from controlplane.storage.tables_policies import policy_bundles, policy_releases
from tests.controlplane.releases.samples import NOW, Counting, revision, signed


class Deciding:
    """Takes bundles, as what decides does."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str]] = []
        self.is_full = False

    async def offer(self, verified: VerifiedBundle) -> None:
        if self.is_full:
            raise OSError("no space left")
        self.taken.append((verified.layer, verified.revision))


@pytest.fixture
def deciding() -> Deciding:
    return Deciding()


def follower(
    store: Store, trust: Trust, deciding: Deciding, counted: Counting, layers: Sequence[PolicyLayer] = ("base",)
) -> Follower:
    return Follower(store.releases, trust, layers, deciding.offer, lambda: NOW + 100.0, counted)


async def release(store: Store, signer: BundleSigner, name: str, layer: PolicyLayer = "base") -> None:
    trust = Trust.of_key(signer.public_key)
    await Publisher(store.releases, trust, lambda _: None, lambda: NOW, Counting()).publish(
        signed(signer, name, layer), layer, "local:author"
    )


async def tamper(store: Store, name: str, signer: BundleSigner, body: bytes | None) -> None:
    is_it = policy_bundles.c.body == signed(signer, name)
    statement = delete(policy_bundles) if body is None else update(policy_bundles).values(body=body)
    assert await store._database.change("change a bundle", statement.where(is_it)) == 1


async def test_each_release_is_handed_over_once(
    store: Store, signer: BundleSigner, trust: Trust, deciding: Deciding, counted: Counting
) -> None:
    one = follower(store, trust, deciding, counted, ("base", "site"))
    await one.refresh()
    assert deciding.taken == []
    await release(store, signer, "A")
    await release(store, signer, "S", "site")
    await release(store, signer, "T", "tenant")
    for _ in range(2):
        await one.refresh()
        assert deciding.taken == [("base", revision("A")), ("site", revision("S"))]
    await release(store, signer, "B")
    await one.refresh()
    assert deciding.taken[-1] == ("base", revision("B"))
    assert one.times.at(revision("B")) == NOW


@pytest.mark.parametrize("how", ["changed", "other_key", "other_bundle", "cut"])
async def test_what_does_not_verify_is_refused_and_the_last_good_one_goes_on(
    store: Store, signer: BundleSigner, trust: Trust, deciding: Deciding, counted: Counting, how: str
) -> None:
    one = follower(store, trust, deciding, counted)
    await release(store, signer, "A")
    await one.refresh()
    if how == "other_key":
        await release(store, BundleSigner.generate(), "B")
    else:
        await release(store, signer, "B")
        body = signed(signer, "B")
        changed = {"changed": body[:-20] + bytes(20), "cut": body[:100], "other_bundle": signed(signer, "C")}
        await tamper(store, "B", signer, changed[how])
    for _ in range(3):
        await one.refresh()
    assert deciding.taken == [("base", revision("A"))]
    expected = {"changed": "malformed", "cut": "malformed", "other_bundle": "tampered", "other_key": "untrusted"}
    assert [refusal.reason for refusal in counted.refusals] == [expected[how]]
    assert one.refusals["base"].reason == expected[how]
    assert one.taken["base"].revision == revision("A")
    assert one.heads["base"].revision == revision("B")
    await release(store, signer, "D")
    await one.refresh()
    assert deciding.taken[-1] == ("base", revision("D"))
    assert one.refusals == {}


async def test_a_process_that_starts_with_a_bad_head_takes_the_last_good_one(
    store: Store, signer: BundleSigner, trust: Trust, deciding: Deciding, counted: Counting
) -> None:
    for name in "ABC":
        await release(store, signer, name)
    await release(store, BundleSigner.generate(), "D")
    await tamper(store, "C", signer, b"")
    one = follower(store, trust, deciding, counted)
    await one.refresh()
    assert deciding.taken == [("base", revision("B"))]
    assert one.refusals["base"].reason == "untrusted"
    assert len(counted.refusals) == 1


async def test_what_could_not_be_handed_over_is_tried_again(
    store: Store, signer: BundleSigner, trust: Trust, deciding: Deciding, counted: Counting
) -> None:
    one = follower(store, trust, deciding, counted)
    await release(store, signer, "A")
    deciding.is_full = True
    with pytest.raises(OSError, match="no space"):
        await one.refresh()
    deciding.is_full = False
    await one.refresh()
    assert deciding.taken == [("base", revision("A"))]


async def test_while_the_store_is_away_one_goes_on_and_follows_when_it_is_back(
    url: str, signer: BundleSigner, trust: Trust, deciding: Deciding, counted: Counting
) -> None:
    store = await open_store(url)
    one = follower(store, trust, deciding, counted)
    await release(store, signer, "A")
    passes = 0

    async def sleep(_seconds: float) -> None:
        nonlocal passes
        passes += 1
        if passes == 1:
            await store.close()
        elif passes == 3:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await follow(one, sleep)
    assert passes == 3
    assert deciding.taken == [("base", revision("A"))]


@pytest.mark.parametrize("spoilt", ["origin = 'given'", "revision = ''", "published_at = 'soon'", "size_bytes = -1"])
async def test_a_row_that_is_not_ours_stops_nobody_from_following(
    store: Store,
    signer: BundleSigner,
    trust: Trust,
    deciding: Deciding,
    counted: Counting,
    spoilt: str,
) -> None:
    one = follower(store, trust, deciding, counted)
    await release(store, signer, "A")
    await one.refresh()
    [row] = await store._database.read("look", select(policy_releases))
    bad = {**row._mapping, "sequence": 100}
    other = {**row._mapping, "sequence": 101, "layer": "nobody's"}
    await store._database.change("add", insert(policy_releases), [bad, other])
    await store._database.change("spoil", text(f"UPDATE policy_releases SET {spoilt} WHERE sequence = 100"))
    with pytest.raises(StoreUnavailable, match="a row is not as ztfm writes it"):
        await one.refresh()
    assert deciding.taken == [("base", revision("A"))]
    passes = 0

    async def sleep(_seconds: float) -> None:
        nonlocal passes
        passes += 1
        if passes == 2:
            await store._database.change("mend", delete(policy_releases).where(policy_releases.c.sequence == 100))
            await release(store, signer, "B")
        elif passes == 3:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await follow(one, sleep)
    assert deciding.taken[-1] == ("base", revision("B"))


async def test_whatever_goes_wrong_the_next_release_is_taken(
    store: Store,
    signer: BundleSigner,
    trust: Trust,
    deciding: Deciding,
    counted: Counting,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = follower(store, trust, deciding, counted)
    passes = 0

    async def fail() -> None:
        raise RuntimeError("nobody thought of it")

    async def sleep(_seconds: float) -> None:
        nonlocal passes
        passes += 1
        if passes == 1:
            monkeypatch.undo()
            await release(store, signer, "A")
        elif passes == 2:
            raise asyncio.CancelledError

    monkeypatch.setattr(one, "refresh", fail)
    with pytest.raises(asyncio.CancelledError):
        await follow(one, sleep)
    assert deciding.taken == [("base", revision("A"))]


async def test_a_bundle_of_any_size_is_not_read(
    store: Store, signer: BundleSigner, trust: Trust, deciding: Deciding, counted: Counting
) -> None:
    one = follower(store, trust, deciding, counted)
    await release(store, signer, "A")
    await tamper(store, "A", signer, bytes(MAX_BODY_BYTES + 1))
    await one.refresh()
    assert (deciding.taken, one.refusals["base"].reason) == ([], "malformed")


async def test_the_standing_says_what_is_to_decide_what_does_and_what_was_refused(
    store: Store, signer: BundleSigner, trust: Trust, deciding: Deciding, counted: Counting
) -> None:
    one = follower(store, trust, deciding, counted, ("base", "site"))
    await release(store, signer, "A")
    await one.refresh()
    await release(store, BundleSigner.generate(), "B")
    await one.refresh()
    combined = f"{revision('A')}+site:none"
    standing = stand("opa", combined, one.layers, one.heads, latest(one.refusals), NOW + 100.0)
    base, site = standing.layers
    assert base.release is not None
    assert (base.release.revision, base.active_revision, base.age_seconds) == (revision("B"), revision("A"), 100.0)
    assert base.refusal == counted.refusals[0]
    assert (site.release, site.active_revision, site.age_seconds, site.refusal) == (None, "", None, None)
    assert stand("opa", "", ("base",), {}, {}, NOW).layers[0].active_revision == ""
