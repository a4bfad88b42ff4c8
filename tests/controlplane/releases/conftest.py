"""Small bundles, signed by keys of the test's own, and a store to release them in."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controlplane.bundles import BundleSigner, Trust
from controlplane.storage import Store, open_store
from tests.controlplane.releases.samples import Counting


@pytest.fixture(scope="session")
def signer() -> BundleSigner:
    return BundleSigner.generate()


@pytest.fixture(scope="session")
def trust(signer: BundleSigner) -> Trust:
    return Trust.of_key(signer.public_key)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}"


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    opened = await open_store(url)
    yield opened
    await opened.close()


@pytest.fixture
def counted() -> Counting:
    return Counting()
