import os
import shutil
from pathlib import Path

import pytest

from controlplane.authoring import PolicyFolder, Tools
from controlplane.sidecar import locate_opa
from controlplane.sidecar.folders import tools_folder
from controlplane.sidecar.install import install

POLICIES = Path(__file__).resolve().parents[3] / "policies"


@pytest.fixture(scope="session")
def tools() -> Tools:
    return Tools(locate_opa(os.environ).path, install("regal", tools_folder()))


@pytest.fixture
def folder(tmp_path: Path) -> PolicyFolder:
    """A copy of the product's policies, to break."""
    shutil.copytree(POLICIES, tmp_path / "policies")
    return PolicyFolder.open(tmp_path / "policies", POLICIES)


@pytest.fixture(scope="session")
def product() -> PolicyFolder:
    """The product's policies, not to be changed."""
    return PolicyFolder.open(POLICIES, POLICIES)
