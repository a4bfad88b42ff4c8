"""What is shipped compiled is what the sources say."""

import os
from pathlib import Path

import pytest

from controlplane.bundles.embedded import CompiledPolicy
from controlplane.releases.building import BuildError, build
from controlplane.releases.compiled import compile_shipped, read_built_in, read_combination
from controlplane.sidecar import locate_opa
from tests.policies.support import POLICIES, ROOT

REFRESH = "it is old: python -m controlplane.releases.compiled"
MOST_BYTES = 400_000


def _pinned() -> tuple[int, ...]:
    line = next(line for line in (ROOT / "opa" / "go.mod").read_text().splitlines() if "/opa v" in line)
    return tuple(int(part) for part in line.split(" v")[-1].split()[0].split("."))


def test_it_is_fresh() -> None:
    path = ROOT / "opa" / "compiled" / "embedded.pack"
    opa = locate_opa(os.environ)
    read_built_in(POLICIES)  # its content is that of the folder
    assert len(path.read_bytes()) < MOST_BYTES
    if opa.version == _pinned():
        assert path.read_bytes() == compile_shipped(opa), REFRESH


def test_it_is_the_bundle_that_opa_builds() -> None:
    without, built = read_built_in(POLICIES), build(locate_opa(os.environ), POLICIES)
    assert without.revision == built.revision
    assert dict(without.files) == dict(built.files)


def test_other_policies_are_not_taken_for_it(tmp_path: Path) -> None:
    (tmp_path / "ztfm").mkdir()
    (tmp_path / "ztfm" / "batch.rego").write_text("package ztfm.batch\n\ndecisions := {}\n")
    with pytest.raises(BuildError, match="other policies"):
        read_built_in(tmp_path)


def test_the_combination_can_be_asked() -> None:
    policy = CompiledPolicy(read_combination(), {})
    asked = b'{"revision": "a.0", "decisions": {}, "expected": ["site"], "layers": {}}'
    try:
        assert policy.ask("combined/narrowed", asked) == {"revision": "a.0+site:none", "decisions": {}}
    finally:
        policy.close()
