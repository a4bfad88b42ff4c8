import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest

from controlplane.capabilities.errors import KeyFileError
from controlplane.capabilities.keys import SigningKey


def _thumbprint(path: Path) -> str:
    return SigningKey.load_or_create(path).thumbprint


def test_the_key_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "signing.pem"
    first = SigningKey.load_or_create(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o077 == 0
    assert SigningKey.load_or_create(path).kid == first.kid
    assert [entry.name for entry in path.parent.iterdir()] == ["signing.pem"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o610])
def test_a_key_that_others_can_reach_is_refused_with_advice(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "signing.pem"
    SigningKey.load_or_create(path)
    path.chmod(mode)
    with pytest.raises(KeyFileError, match="chmod 600"):
        SigningKey.load_or_create(path)


@pytest.mark.parametrize(
    "content", [b"", b"garbage", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
)
def test_a_damaged_key_is_a_fault_and_is_not_replaced(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "signing.pem"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match="holds no P-256 private key"):
        SigningKey.load_or_create(path)
    assert path.read_bytes() == content


def test_threads_that_start_at_once_share_one_key(tmp_path: Path) -> None:
    path = tmp_path / "signing.pem"
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(_thumbprint, [path] * 32))) == 1


def test_processes_that_start_at_once_share_one_key(tmp_path: Path) -> None:
    path = tmp_path / "signing.pem"
    with ProcessPoolExecutor(3, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert len(set(pool.map(_thumbprint, [path] * 6))) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["signing.pem"]


def test_a_folder_that_cannot_be_written_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match=r"."):
        SigningKey.load_or_create(tmp_path / "file" / "signing.pem")
