"""Of a file nothing is handed out but what it held when its digest was taken."""

import hashlib
from pathlib import Path

import pytest

from adapters.jobs.checked import PIECE_BYTES, AlteredError, CheckedFile

CONTENT = bytes(range(256)) * (2 * PIECE_BYTES // 256) + b"the rest"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "weights"
    path.write_bytes(CONTENT)
    return path


def test_it_is_what_it_was(path: Path) -> None:
    found = CheckedFile.of(path)
    assert (found.size_bytes, found.sha256) == (len(CONTENT), hashlib.sha256(CONTENT).digest())
    assert found.content() == CONTENT
    assert CheckedFile.of(path, found.digest) == found
    with pytest.raises(AlteredError, match="restore it"):
        CheckedFile.of(path, "sha256:" + "0" * 64)


@pytest.mark.parametrize(
    "at", [0, 1, PIECE_BYTES - 1, PIECE_BYTES, 2 * PIECE_BYTES - 1, 2 * PIECE_BYTES, len(CONTENT) - 1]
)
def test_a_flipped_bit_is_given_to_nobody(path: Path, at: int) -> None:
    found = CheckedFile.of(path)
    flipped = bytearray(CONTENT)
    flipped[at] ^= 0x10
    path.write_bytes(flipped)
    given: list[bytes] = []
    with path.open("rb") as file, pytest.raises(AlteredError):
        given.extend(found.read_pieces(file))
    assert b"".join(given) == CONTENT[: at // PIECE_BYTES * PIECE_BYTES]


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"x", b""], ids=["shorter", "longer", "empty"])
def test_another_length_is_noticed(path: Path, content: bytes) -> None:
    found = CheckedFile.of(path)
    path.write_bytes(content)
    with pytest.raises(AlteredError):
        found.content()


def test_an_empty_file_is_one(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert CheckedFile.of(tmp_path / "empty").content() == b""
