import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controlplane.bundles import BundleSigner, Trust
from controlplane.history.workbench.drafts import Drafts
from controlplane.history.workbench.trials import Trials, TrialTools
from controlplane.sidecar import locate_opa
from controlplane.sidecar.folders import tools_folder
from controlplane.sidecar.install import install
from controlplane.storage import Store, open_store
from tests.controlplane.authoring.conftest import SMALL


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}")
    yield opened
    await opened.close()


@pytest.fixture
def signer(tmp_path: Path) -> BundleSigner:
    return BundleSigner.load_or_create(tmp_path / "policy-signing.key")


@pytest.fixture
def trust(signer: BundleSigner) -> Trust:
    return Trust.of_key(signer.public_key)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A folder of three little packages with their tests."""
    root = tmp_path / "small"
    for name, text in SMALL.items():
        path = root / "ztfm" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.fixture
def drafts(store: Store, trust: Trust, small: Path) -> Drafts:
    return Drafts(store.releases, trust, small)


@pytest.fixture(scope="session")
def tools() -> TrialTools:
    return TrialTools(lambda: locate_opa(os.environ), lambda: install("regal", tools_folder()))


@pytest.fixture
def trials(tools: TrialTools) -> Trials:
    return Trials(tools)
