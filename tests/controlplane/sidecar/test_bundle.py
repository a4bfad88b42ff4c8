"""A bundle's revision names its content, and what does not compile never becomes one."""

import json
import tarfile
from pathlib import Path

import pytest

from controlplane.sidecar import BundleError, OpaBinary, build_bundle
from controlplane.sidecar.bundle import content_digest, git_commit


def members(bundle: Path) -> dict[str, bytes]:
    with tarfile.open(bundle) as archive:
        files = [item for item in archive.getmembers() if item.isfile()]
        return {item.name.lstrip("/"): archive.extractfile(item).read() for item in files}  # type: ignore[union-attr]


def test_a_bundle_carries_its_revision_and_cannot_own_what_guards_opa(
    opa: OpaBinary, policies: Path, tmp_path: Path
) -> None:
    revision = build_bundle(opa, policies, tmp_path / "out" / "bundle.tar.gz")
    manifest = json.loads(members(tmp_path / "out" / "bundle.tar.gz")[".manifest"])
    assert manifest["revision"] == revision
    assert set(manifest["roots"]) == {"ztfm", "data"}
    assert revision == f"nogit.{content_digest(policies)[:16]}"


def test_tests_examples_and_schemas_are_left_out_and_change_no_revision(
    opa: OpaBinary, policies: Path, tmp_path: Path
) -> None:
    before = build_bundle(opa, policies, tmp_path / "bundle.tar.gz")
    beside = policies / "ztfm" / "batch"
    (beside / "batch_test.rego").write_text("package ztfm.batch_test\n\ntest_nothing if true\n")
    (beside / "examples").mkdir()
    (beside / "examples" / "data.json").write_text('{"example": true}')
    (policies / "schemas").mkdir()
    (policies / "schemas" / "data.json").write_text('{"schema": true}')
    (policies / "limits.schema.json").write_text("{}")
    assert build_bundle(opa, policies, tmp_path / "bundle.tar.gz") == before
    names = members(tmp_path / "bundle.tar.gz").keys()
    assert not [name for name in names if "test" in name or "example" in name or "schema" in name]


def test_data_belongs_into_the_bundle_and_changes_the_revision(opa: OpaBinary, policies: Path, tmp_path: Path) -> None:
    before = build_bundle(opa, policies, tmp_path / "bundle.tar.gz")
    (policies / "ztfm" / "limits").mkdir()
    (policies / "ztfm" / "limits" / "data.json").write_text('{"trust": 0.5}')
    assert build_bundle(opa, policies, tmp_path / "bundle.tar.gz") != before
    assert json.loads(members(tmp_path / "bundle.tar.gz")["data.json"])["ztfm"]["limits"] == {"trust": 0.5}


def test_policies_that_do_not_compile_are_an_error_with_file_and_line(
    opa: OpaBinary, policies: Path, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle.tar.gz"
    build_bundle(opa, policies, bundle)
    kept = bundle.read_bytes()
    (policies / "ztfm" / "broken.rego").write_text("package ztfm.broken\n\nallow if {\n")
    with pytest.raises(BundleError, match=r"ztfm/broken\.rego:\d+"):
        build_bundle(opa, policies, bundle)
    assert bundle.read_bytes() == kept
    assert [path.name for path in tmp_path.iterdir() if "building" in path.name] == []


def test_a_folder_without_policies_is_an_error(opa: OpaBinary, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BundleError, match="holds no policies"):
        build_bundle(opa, tmp_path / "empty", tmp_path / "bundle.tar.gz")
    with pytest.raises(BundleError, match="holds no policies"):
        build_bundle(opa, tmp_path / "absent", tmp_path / "bundle.tar.gz")


def test_a_package_outside_the_roots_is_refused(opa: OpaBinary, policies: Path, tmp_path: Path) -> None:
    (policies / "authz.rego").write_text("package system.authz\n\nallow := true\n")
    with pytest.raises(BundleError, match="root"):
        build_bundle(opa, policies, tmp_path / "bundle.tar.gz")


@pytest.mark.parametrize(
    "manifest",
    ['{"roots": [""]}', '{"roots": ["ztfm", "/system/authz"]}', '{"roots": []}', '{"roots": "ztfm"}', "{", "[]"],
)
def test_a_manifest_cannot_claim_what_guards_opa(opa: OpaBinary, policies: Path, tmp_path: Path, manifest: str) -> None:
    (policies / ".manifest").write_text(manifest)
    with pytest.raises(BundleError, match="manifest"):
        build_bundle(opa, policies, tmp_path / "bundle.tar.gz")


def test_a_binary_that_cannot_run_is_a_clear_error(policies: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="could not build"):
        build_bundle(OpaBinary(tmp_path / "no-opa", (1, 22, 0), "tools"), policies, tmp_path / "bundle.tar.gz")


def test_the_commit_of_a_checkout_is_in_the_revision() -> None:
    here = git_commit(Path(__file__).parent)
    assert here == "nogit" or len(here.removesuffix("-dirty")) == 12
    assert git_commit(Path("/")) == "nogit"
