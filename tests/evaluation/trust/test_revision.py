from pathlib import Path

import pytest

from evaluation.trust.revision import JUDGING, ROOT, TRAINING, revision

PARTS = ("code", "single.py", "missing")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "code" / "deep").mkdir(parents=True)
    (tmp_path / "code" / "deep" / "rule.rego").write_text("package rule")
    (tmp_path / "code" / "data.json").write_text("{}")
    (tmp_path / "single.py").write_text("x = 1")
    return tmp_path


@pytest.mark.parametrize("file", ["code/deep/rule.rego", "code/data.json", "single.py"])
def test_a_changed_file_is_another_revision(root: Path, file: str) -> None:
    before = revision(PARTS, root=root)
    (root / file).write_text("changed")
    assert revision(PARTS, root=root) != before


def test_a_renamed_file_is_another_revision(root: Path) -> None:
    before = revision(PARTS, root=root)
    (root / "code" / "data.json").rename(root / "code" / "other.json")
    assert revision(PARTS, root=root) != before


def test_what_else_it_depends_on_is_another_revision(root: Path) -> None:
    assert revision(PARTS, "one plan", root) != revision(PARTS, "another", root)


@pytest.mark.parametrize("file", ["code/rule_test.rego", "code/notes.md", "code/deep/cache.pyc"])
def test_tests_and_notes_make_no_difference(root: Path, file: str) -> None:
    before = revision(PARTS, root=root)
    (root / file).write_text("anything")
    assert revision(PARTS, root=root) == before


def test_every_part_that_results_depend_on_is_there() -> None:
    assert [part for part in (*TRAINING, *JUDGING) if not (ROOT / part).exists()] == []
