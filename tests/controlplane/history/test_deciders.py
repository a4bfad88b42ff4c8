"""A decision is explained by the policies that made it, where they are kept and whoever signed them is trusted."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controlplane.authoring import PolicyFolder
from controlplane.bundles import BundleSigner, Trust
from controlplane.history.deciders import content_of, deciders
from controlplane.releases.building import build
from controlplane.sidecar import OpaBinary
from controlplane.storage import Store, open_store
from controlplane.storage.releases import NewRelease
from tests.policies.support import POLICIES

MARK = "# what decided then\n"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}")
    yield opened
    await opened.close()


@pytest.fixture
def signer(tmp_path: Path) -> BundleSigner:
    return BundleSigner.load_or_create(tmp_path / "policy-signing.key")


@pytest.fixture
def today() -> PolicyFolder:
    return PolicyFolder.open(POLICIES, POLICIES)


@pytest.fixture
async def released(opa: OpaBinary, store: Store, signer: BundleSigner, tmp_path: Path) -> str:
    """The revision of a release whose policies are not today's."""
    folder = tmp_path / "then"
    shutil.copytree(POLICIES, folder)
    path = folder / "ztfm/inference/policy.rego"
    path.write_text(path.read_text() + f"\n{MARK}")
    built = build(opa, folder, "base", wasm=False)
    body = signer.sign(built.files, "base", built.revision)
    new = NewRelease("base", built.revision, signer.key_id, "published", 1.0, "ada")
    assert await store.releases.add(new, body) is not None
    return built.revision


@pytest.mark.parametrize("decided_by", ["{}", "{}+tenant:a.b+site:none"])
async def test_the_release_that_decided_explains(
    store: Store, signer: BundleSigner, today: PolicyFolder, released: str, decided_by: str
) -> None:
    trust = Trust.of_key(signer.public_key)
    async with deciders(decided_by.format(released), today, store.releases, trust) as found:
        assert (found.is_same, found.is_released, found.revision) == (True, True, released)
        assert MARK in (found.folder.root / "ztfm/inference/policy.rego").read_text()
        assert (found.folder.root / "ztfm/inference/policy_test.rego").is_file()
        place = found.folder.root
    assert not place.exists()


async def test_todays_folder_explains_where_it_says_the_same(
    store: Store, signer: BundleSigner, today: PolicyFolder
) -> None:
    trust = Trust.of_key(signer.public_key)
    async with deciders("other.0000000000000000", today, None, None) as found:
        current = found.revision
    async with deciders(f"another.{content_of(current)}", today, store.releases, trust) as found:
        assert (found.is_same, found.is_released, found.folder) == (True, False, today)


async def test_what_is_not_kept_not_trusted_or_not_wanted_is_explained_by_todays(
    store: Store, signer: BundleSigner, today: PolicyFolder, released: str, tmp_path: Path
) -> None:
    trust = Trust.of_key(signer.public_key)
    stranger = Trust.of_key(BundleSigner.load_or_create(tmp_path / "other.key").public_key)
    for revision, releases, trusted in (
        ("gone.0123456789abcdef", store.releases, trust),
        ("", store.releases, trust),
        (released, store.releases, stranger),
        (released, store.releases, None),
        (released, None, trust),
    ):
        async with deciders(revision, today, releases, trusted) as found:
            assert (found.is_same, found.is_released, found.folder) == (False, False, today)
