import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from controlplane.sidecar import OpaBinary, build_bundle, locate_opa

BATCH = """package ztfm.batch

revision := data.system.bundles.ztfm.manifest.revision

decisions[id] := answer if {
	some id, facts in input.inference
	answer := {"seen": facts}
}
"""
LAYERS = """package combined

batch := data.ztfm.batch if data.layers.expected == []
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
def modules(tmp_path: Path) -> tuple[Path, ...]:
    """The least that OPA has beside its bundles."""
    for name, text in (("authz.rego", AUTHZ), ("layers.rego", LAYERS)):
        (tmp_path / name).write_text(text)
    return tmp_path / "authz.rego", tmp_path / "layers.rego"


@pytest.fixture
def bundle(opa: OpaBinary, policies: Path, tmp_path: Path) -> bytes:
    build_bundle(opa, policies, tmp_path / "built" / "bundle.tar.gz")
    return (tmp_path / "built" / "bundle.tar.gz").read_bytes()


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a short path, for sockets."""
    with tempfile.TemporaryDirectory(prefix="ztfm-") as folder:
        yield Path(folder)
