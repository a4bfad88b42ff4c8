"""A model's files as whoever writes to its folder may leave them: nothing is waited for, missed, or believed twice."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from controlplane.transparency.modelfiles import verify_model
from controlplane.transparency.modelsigners import SignatureRefused, Signers
from controlplane.transparency.plainfiles import NoPlainFileError, open_plain
from tests.modelsigning import AT, KEY, written

FILES = {"config.json": b"{}", "sub/weights.bin": b"weights"}
SIGNERS = Signers({"example-lab": KEY.public_key()})


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return written(tmp_path / "tiny", FILES)


@pytest.mark.parametrize("name", [*FILES, "model.sig"])
def test_a_pipe_in_the_place_of_a_file_is_refused_and_not_waited_for(model: Path, name: str) -> None:
    (model / name).unlink()
    os.mkfifo(model / name)
    with pytest.raises(NoPlainFileError, match="no plain file"):
        verify_model(model, SIGNERS, AT)


def test_a_device_is_no_file_however_it_is_reached(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("/dev/zero")
    for path in (Path("/dev/zero"), link, tmp_path):
        with pytest.raises(NoPlainFileError):
            open_plain(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is hidden from root")
def test_a_folder_that_cannot_be_looked_into_is_not_passed_over(model: Path) -> None:
    (model / "hidden").mkdir()
    (model / "hidden" / "added.py").write_text("import os")
    (model / "hidden").chmod(0)
    try:
        with pytest.raises(PermissionError):
            verify_model(model, SIGNERS, AT)
    finally:
        (model / "hidden").chmod(0o700)


def _link_to_folder(model: Path) -> None:
    (model.parent / "elsewhere").mkdir()
    (model / "more").symlink_to(model.parent / "elsewhere")


def _hidden_below(model: Path) -> None:
    (model / "sub" / ".git").mkdir()
    (model / "sub" / ".git" / "added.py").write_text("import os")


def _second_signature(model: Path) -> None:
    (model / "sub" / "model.sig").write_text("{}")


def _deep(model: Path) -> None:
    at = model.joinpath(*["d" * 60] * 9)
    at.mkdir(parents=True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_link_to_folder, "more is a link"),
        (_hidden_below, r"sub/\.git/added\.py is there and was not signed"),
        (_second_signature, r"sub/model\.sig is there and was not signed"),
        (_deep, "nested deeper"),
    ],
)
def test_what_was_added_is_found_wherever_it_lies(model: Path, change: Callable[[Path], None], words: str) -> None:
    change(model)
    with pytest.raises(SignatureRefused, match=words):
        verify_model(model, SIGNERS, AT)


def test_a_name_with_control_characters_is_told_without_them(model: Path) -> None:
    (model / "a\x1b[2Jb").write_bytes(b"")
    with pytest.raises(SignatureRefused) as found:
        verify_model(model, SIGNERS, AT)
    assert found.value.words.isprintable()


def test_a_signature_may_be_named_elsewhere_and_what_is_named_model_sig_is_a_file_then(
    model: Path, tmp_path: Path
) -> None:
    (model / "model.sig").rename(tmp_path / "tiny.sig")
    assert verify_model(model, SIGNERS, AT, tmp_path / "tiny.sig").manifest.called == "tiny"
    (model / "model.sig").write_text("{}")
    with pytest.raises(SignatureRefused, match=r"model\.sig is there and was not signed"):
        verify_model(model, SIGNERS, AT, tmp_path / "tiny.sig")
