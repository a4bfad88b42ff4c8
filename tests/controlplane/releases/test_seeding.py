"""The installation's policies are the first release, and people's releases stay whatever the folder holds."""

import asyncio
from pathlib import Path

import pytest

from controlplane.bundles import BundleSigner, Trust
from controlplane.releases.building import UnsignedBundle, build
from controlplane.releases.errors import NothingPublished
from controlplane.releases.publishing import Publisher
from controlplane.releases.seeding import Seeding
from controlplane.sidecar import BundleError, OpaBinary, locate_opa
from controlplane.sidecar.bundle import content_digest
from controlplane.storage import Store, open_store
from tests.controlplane.releases.samples import NOW, Counting, signed


@pytest.fixture(scope="session")
def opa() -> OpaBinary:
    return locate_opa({"PATH": ""})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "policies" / "ztfm" / "batch").mkdir(parents=True)
    (tmp_path / "policies" / "ztfm" / "batch" / "batch.rego").write_text("package ztfm.batch\n\nname := 1\n")
    return tmp_path / "policies"


def seeding(
    store: Store,
    folder: Path,
    opa: OpaBinary,
    signer: BundleSigner,
    trust: Trust,
    counted: Counting,
) -> Seeding:
    def made(path: Path) -> UnsignedBundle:
        return build(opa, path, wasm=False)

    return Seeding(store.releases, folder, lambda: signer, trust, made, lambda: NOW, counted)


async def test_an_empty_store_gets_the_folder_and_a_second_start_changes_nothing(
    store: Store, folder: Path, opa: OpaBinary, signer: BundleSigner, trust: Trust, counted: Counting
) -> None:
    for _ in range(2):
        await seeding(store, folder, opa, signer, trust, counted).seed()
    [release] = await store.releases.recent(("base",))
    assert release.origin == "built_in"
    assert release.key_id == signer.key_id
    assert release.revision.endswith(content_digest(folder)[:16])
    assert counted.releases == [release]


async def test_an_upgrade_is_released_anew_and_what_people_published_stays(
    store: Store, folder: Path, opa: OpaBinary, signer: BundleSigner, trust: Trust, counted: Counting
) -> None:
    one = seeding(store, folder, opa, signer, trust, counted)
    await one.seed()
    (folder / "ztfm" / "batch" / "batch.rego").write_text("package ztfm.batch\n\nname := 2\n")
    await one.seed()
    assert [release.origin for release in await store.releases.recent(("base",))] == ["built_in", "built_in"]
    publisher = Publisher(store.releases, trust, lambda _: None, lambda: NOW, counted)
    published = await publisher.publish(signed(signer, "A"), "base", "local:author")
    await one.seed()
    assert (await store.releases.heads())["base"] == published
    back = await publisher.rollback("base", None, "local:author")
    (folder / "ztfm" / "batch" / "batch.rego").write_text("package ztfm.batch\n\nname := 3\n")
    await one.seed()
    assert (await store.releases.heads())["base"] == back


async def test_of_processes_that_start_at_once_one_releases(
    url: str, folder: Path, opa: OpaBinary, signer: BundleSigner, trust: Trust, counted: Counting
) -> None:
    stores = [await open_store(url) for _ in range(3)]
    try:
        await asyncio.gather(*(seeding(one, folder, opa, signer, trust, counted).seed() for one in stores))
        assert len(await stores[0].releases.recent(("base",))) == 1
        assert len(counted.releases) == 1
    finally:
        for one in stores:
            await one.close()


async def test_a_folder_that_does_not_compile_is_an_error_and_releases_nothing(
    store: Store, folder: Path, opa: OpaBinary, signer: BundleSigner, trust: Trust, counted: Counting
) -> None:
    (folder / "ztfm" / "broken.rego").write_text("package ztfm.broken\n\nallow if {\n")
    with pytest.raises(BundleError, match=r"broken\.rego"):
        await seeding(store, folder, opa, signer, trust, counted).seed()
    assert await store.releases.heads() == {}


async def test_a_machine_that_may_not_sign_says_to_publish_and_starts_once_that_is_done(
    store: Store, folder: Path, opa: OpaBinary, signer: BundleSigner, trust: Trust, counted: Counting
) -> None:
    own = seeding(store, folder, opa, BundleSigner.generate(), trust, counted)
    with pytest.raises(NothingPublished, match="ztfm policy publish"):
        await own.seed()
    assert await store.releases.heads() == {}
    await seeding(store, folder, opa, signer, trust, counted).seed()
    [released] = await store.releases.recent(("base",))
    (folder / "ztfm" / "batch" / "batch.rego").write_text("package ztfm.batch\n\nname := 2\n")
    await own.seed()
    assert await store.releases.recent(("base",)) == [released]
