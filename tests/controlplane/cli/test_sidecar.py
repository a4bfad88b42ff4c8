import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
POLICY = "package ztfm.inference\n\ndecision := {}\n"


def sidecar(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run `ztfm sidecar`, without this process's settings."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ZTFM_")}
    command = [sys.executable, "-m", "controlplane.cli", "sidecar", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    folder = tmp_path / "policies" / "ztfm" / "inference"
    folder.mkdir(parents=True)
    (folder / "policy.rego").write_text(POLICY)
    return tmp_path / "policies"


def test_prepare_writes_bundle_configuration_and_token_for_nobody_else_to_read(tmp_path: Path, policies: Path) -> None:
    folder = tmp_path / "run"
    (folder / "kept").mkdir(parents=True)
    result = sidecar("prepare", "--dir", folder, "--policies", policies, "--json")
    assert result.returncode == 0, result.stderr
    said = json.loads(result.stdout)
    config = json.loads((folder / "opa-config.json").read_text())
    assert said["bundle"] == str(folder / "public" / "bundle.tar.gz")
    assert said["policy_revision"].split(".")[1]
    assert [path.name for path in (folder / "public").iterdir()] == ["bundle.tar.gz"]
    assert not (folder / "kept").exists(), "an earlier policy would decide first"
    assert config["services"]["publisher"]["url"] == "http://127.0.0.1:8183"
    assert config["bundles"]["ztfm"]["resource"] == "bundle.tar.gz"
    assert len((folder / "opa-token").read_text()) >= 32
    for name in ("opa-config.json", "opa-token"):
        assert (folder / name).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("command", [["prepare", "--dir"], ["publish", "--state-dir"]])
def test_policies_that_do_not_compile_are_refused_with_their_place(
    tmp_path: Path, policies: Path, command: list[str]
) -> None:
    (policies / "ztfm" / "inference" / "policy.rego").write_text("package ztfm.inference\n\nallow if {\n")
    (tmp_path / "run" / "opa").mkdir(parents=True)
    result = sidecar(*command, tmp_path / "run", "--policies", policies)
    assert result.returncode == 1
    assert "policy.rego" in result.stderr


def test_publish_writes_where_the_control_plane_serves_it_from(tmp_path: Path, policies: Path) -> None:
    (tmp_path / "state" / "opa").mkdir(parents=True)
    result = sidecar("publish", "--state-dir", str(tmp_path / "state"), "--policies", policies)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "state" / "opa" / "bundle.tar.gz").is_file()


def test_publish_without_a_control_plane_says_what_to_do(tmp_path: Path) -> None:
    result = sidecar("publish", "--state-dir", str(tmp_path / "nowhere"))
    assert result.returncode == 1
    assert "start the control plane first" in result.stderr
    assert not (tmp_path / "nowhere").exists()


def test_a_folder_that_cannot_be_written_is_said_in_one_line(tmp_path: Path, policies: Path) -> None:
    (tmp_path / "file").write_text("")
    result = sidecar("prepare", "--dir", str(tmp_path / "file" / "run"), "--policies", policies)
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1


def test_a_token_in_use_is_kept_and_an_empty_one_replaced(tmp_path: Path, policies: Path) -> None:
    path = tmp_path / "opa-token"
    path.write_text("in use\n")
    path.chmod(0o644)
    assert sidecar("prepare", "--dir", tmp_path, "--policies", policies).returncode == 0
    assert path.read_text() == "in use\n"
    assert path.stat().st_mode & 0o077 == 0
    path.write_text("")
    assert sidecar("prepare", "--dir", tmp_path, "--policies", policies).returncode == 0
    assert len(path.read_text()) >= 32


@pytest.fixture(autouse=True)
def _needs_opa() -> None:
    if shutil.which("opa") is None and not (ROOT / ".tools" / "bin" / "opa").exists():
        pytest.skip("OPA is not installed")
