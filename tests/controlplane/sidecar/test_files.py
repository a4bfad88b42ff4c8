"""What OPA reads is private where it must be, and never half written."""

import stat
from pathlib import Path

import pytest

from controlplane.sidecar.files import write_private, write_whole


def test_private_files_are_private(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "token"
    write_private(path, "first")
    path.chmod(0o644)
    write_private(path, "second")
    assert path.read_text() == "second"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_is_replaced_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "public" / "ztfm.tar.gz"
    write_whole(path, b"first")
    with path.open("rb") as reading:
        write_whole(path, b"second")
        assert reading.read() == b"first"
    assert path.read_bytes() == b"second"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file"):
        write_whole(tmp_path / "file" / "ztfm.tar.gz", b"body")
