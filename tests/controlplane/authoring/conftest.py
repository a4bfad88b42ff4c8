import os
import shutil
from pathlib import Path

import pytest

from controlplane.authoring import PolicyFolder, Tools
from controlplane.sidecar import locate_opa
from controlplane.sidecar.folders import tools_folder
from controlplane.sidecar.install import install

POLICIES = Path(__file__).resolve().parents[3] / "policies"

SMALL = {
    "one/policy.rego": "package ztfm.one\n\nenough if input.amount >= 10\n",
    "one/policy_test.rego": """package ztfm.one_test

import data.ztfm.one

test_ten_is_enough if one.enough with input as {"amount": 10}

test_nine_is_not if not one.enough with input as {"amount": 9}
""",
    "two/policy.rego": "package ztfm.two\n\nimport data.ztfm.one\n\nopen if one.enough\n",
    "two/policy_test.rego": """package ztfm.two_test

import data.ztfm.two

test_ten_opens if two.open with input as {"amount": 10}
""",
    "other/policy.rego": "package ztfm.other\n\nalways := true\n",
    "other/policy_test.rego": "package ztfm.other_test\n\nimport data.ztfm.other\n\ntest_always if other.always\n",
}


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


@pytest.fixture
def small(tmp_path: Path) -> PolicyFolder:
    """Two packages, one of which names the other, with tests that cover them."""
    root = tmp_path / "small"
    for name, text in SMALL.items():
        path = root / "ztfm" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return PolicyFolder.open(root, POLICIES)
