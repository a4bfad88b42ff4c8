import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest

from controlplane.capabilities.errors import KeyFileError
from controlplane.capabilities.keyfiles import create_private, read_private


def test_a_file_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "sealing.key"
    assert create_private(path, b"first") == b"first"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o077 == 0
    assert create_private(path, b"second") == b"first"
    assert read_private(path) == b"first"
    assert [entry.name for entry in path.parent.iterdir()] == ["sealing.key"]


def test_a_file_that_is_not_there_is_none(tmp_path: Path) -> None:
    assert read_private(tmp_path / "sealing.key") is None


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o610])
def test_a_file_that_others_can_reach_is_refused_with_advice(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "sealing.key"
    create_private(path, b"secret")
    path.chmod(mode)
    with pytest.raises(KeyFileError, match="chmod 600"):
        read_private(path)
    with pytest.raises(KeyFileError, match="chmod 600"):
        create_private(path, b"other")


def test_threads_that_start_at_once_share_one_file(tmp_path: Path) -> None:
    path = tmp_path / "sealing.key"
    contents = [f"{number}".encode() for number in range(32)]
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(create_private, [path] * 32, contents))) == 1


def test_processes_that_start_at_once_share_one_file(tmp_path: Path) -> None:
    path = tmp_path / "sealing.key"
    contents = [f"{number}".encode() for number in range(6)]
    with ProcessPoolExecutor(3, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert len(set(pool.map(create_private, [path] * 6, contents))) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["sealing.key"]


def test_a_folder_that_cannot_be_written_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match=r"."):
        create_private(tmp_path / "file" / "sealing.key", b"secret")
