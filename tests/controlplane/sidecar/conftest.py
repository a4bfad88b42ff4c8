import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from controlplane.sidecar import OpaBinary, locate_opa

BATCH = """package ztfm.batch

revision := data.system.bundles.ztfm.manifest.revision

decisions[id] := answer if {
	some id, facts in input.inference
	answer := {"seen": facts}
}
"""
AUTHZ = """package system.authz

default allow := false

allow if input.identity == opa.runtime().env.ZTFM_OPA_TOKEN
"""


@pytest.fixture(scope="session")
def opa() -> OpaBinary:
    return locate_opa({"PATH": ""})


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    """The smallest policy folder that answers batches."""
    folder = tmp_path / "policies"
    (folder / "ztfm" / "batch").mkdir(parents=True)
    (folder / "ztfm" / "batch" / "batch.rego").write_text(BATCH)
    return folder


@pytest.fixture
def authorisation(tmp_path: Path) -> Path:
    path = tmp_path / "authz.rego"
    path.write_text(AUTHZ)
    return path


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a short path, for sockets."""
    with tempfile.TemporaryDirectory(prefix="ztfm-") as folder:
        yield Path(folder)
