import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from controlplane.authoring import (
    AuthoringError,
    Finding,
    PolicyFolder,
    Results,
    Tools,
    check,
    create,
    run_tests,
    start_folder,
)
from controlplane.authoring.scaffolding import TEMPLATE
from tests.controlplane.authoring.conftest import POLICIES

NAMES = ("door", "pump_station", "abcdefghijklmnopqrstuvwxyzabcdef")


@dataclass(frozen=True)
class Made:
    """Decisions of all these names in one copy of the product's policies, checked and tested once."""

    before: int
    folder: PolicyFolder
    files: dict[str, list[Path]]
    findings: list[Finding]
    results: Results


@pytest.fixture(scope="module")
def made(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Made:
    root = shutil.copytree(POLICIES, tmp_path_factory.mktemp("made") / "policies")
    folder = PolicyFolder.open(root, POLICIES)
    before = len(folder.examples())
    files = {name: create(tools.opa, folder, name) for name in NAMES}
    findings = [item for one in check(tools, folder) for item in one.findings]
    return Made(before, folder, files, findings, run_tests(tools, folder))


@pytest.mark.parametrize("name", NAMES)
def test_what_is_made_passes_every_check_and_its_tests(made: Made, name: str) -> None:
    assert made.files[name]
    assert all(path.is_file() for path in made.files[name])
    assert (made.findings, made.results.findings) == ([], [])
    assert made.results.examples == made.before + 2 * len(NAMES)
    assert made.results.coverage[f"ztfm/extra/{name}"] == 1.0


def test_several_can_be_made_and_each_decides_its_own_type(made: Made) -> None:
    assert made.results.findings == []
    assert {f"extra/{name}" for name in NAMES} <= set(made.folder.decisions())


@pytest.mark.parametrize(
    "name",
    ["", "Door", "a-b", "a.b", "../door", "a__b", "_a", "9a", "a" * 33, "dóor", "input", "data", "count", "time", "if",
     "verdict", "limits", "action", "resources", "a", "contains"],
)  # fmt: skip
def test_a_name_that_would_hide_or_escape_is_refused(tools: Tools, folder: PolicyFolder, name: str) -> None:
    before = sorted(folder.root.rglob("*"))
    with pytest.raises(AuthoringError):
        create(tools.opa, folder, name)
    assert sorted(folder.root.rglob("*")) == before


def test_nothing_is_overwritten(tools: Tools, folder: PolicyFolder) -> None:
    create(tools.opa, folder, "door")
    policy = folder.root / "ztfm/extra/door/policy.rego"
    policy.write_text("mine")
    with pytest.raises(AuthoringError, match="exists already"):
        create(tools.opa, folder, "door")
    with pytest.raises(AuthoringError, match="exists already"):
        create(tools.opa, folder, "segments")
    assert policy.read_text() == "mine"


def test_a_text_under_the_same_code_is_kept(tools: Tools, folder: PolicyFolder) -> None:
    path = folder.root / "data/reasons/data.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "door_known": {"message": "M.", "remedy": "R."}}))
    before = path.read_text()
    with pytest.raises(AuthoringError, match="door_known"):
        create(tools.opa, folder, "door")
    assert path.read_text() == before
    assert not (folder.root / "data/door").exists()


def test_what_was_begun_is_taken_away_when_it_cannot_be_finished(
    tools: Tools, folder: PolicyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = Path.write_text

    def write(path: Path, text: str) -> int:
        if path.name == "data.json" and path.parent.name == "door":
            raise OSError("the disk is full")
        return written(path, text)

    monkeypatch.setattr(Path, "write_text", write)
    with pytest.raises(OSError, match="disk is full"):
        create(tools.opa, folder, "door")
    assert not (folder.root / "ztfm/extra/door").exists()
    assert not (folder.root / "data/door").exists()


def test_a_folder_that_is_no_whole_policy_folder_is_refused(tools: Tools, tmp_path: Path) -> None:
    (tmp_path / "ztfm").mkdir()
    with pytest.raises(AuthoringError, match="start from a copy"):
        create(tools.opa, PolicyFolder.open(tmp_path, POLICIES), "door")


def test_only_an_empty_folder_becomes_a_copy(tmp_path: Path) -> None:
    assert start_folder(tmp_path / "new", POLICIES)
    assert (tmp_path / "new" / "ztfm" / "lib").is_dir()
    assert not start_folder(tmp_path, POLICIES)
    assert not (tmp_path / "ztfm").exists()


def test_the_template_has_the_fail_closed_form() -> None:
    policy = (TEMPLATE / "policy.rego").read_text()
    assert "missing := required - satisfied" in policy
    assert "not " not in policy.partition("satisfied contains")[2]
