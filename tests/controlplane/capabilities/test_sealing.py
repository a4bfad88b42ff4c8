import copy
import pickle
from pathlib import Path

import pytest

from controlplane.capabilities.errors import KeyFileError, SealError
from controlplane.capabilities.sealing import Sealer

SECRET = b"-----BEGIN PRIVATE KEY-----"


def test_what_was_sealed_opens_for_its_context_alone() -> None:
    sealer = Sealer(b"k" * 32)
    sealed = sealer.seal(SECRET, "kid-1")
    assert sealer.open(sealed, "kid-1") == SECRET
    with pytest.raises(SealError):
        sealer.open(sealed, "kid-2")


def test_the_same_secret_is_sealed_differently_each_time_and_never_in_the_clear() -> None:
    sealer = Sealer(b"k" * 32)
    sealed = {sealer.seal(SECRET, "kid-1") for _ in range(10)}
    assert len(sealed) == 10
    assert all(SECRET[:8] not in one for one in sealed)


@pytest.mark.parametrize("cut", [0, 1, 27, 28, -1])
def test_a_shortened_secret_does_not_open(cut: int) -> None:
    sealer = Sealer(b"k" * 32)
    with pytest.raises(SealError):
        sealer.open(sealer.seal(SECRET, "kid-1")[:cut], "kid-1")


def test_no_changed_bit_opens() -> None:
    sealer = Sealer(b"k" * 32)
    sealed = sealer.seal(SECRET, "kid-1")
    for place in range(len(sealed)):
        changed = sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
        with pytest.raises(SealError, match="was the key file replaced"):
            sealer.open(changed, "kid-1")


def test_another_key_opens_nothing() -> None:
    with pytest.raises(SealError):
        Sealer(b"x" * 32).open(Sealer(b"k" * 32).seal(SECRET, "kid-1"), "kid-1")


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_a_key_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Sealer(b"k" * size)


def test_a_sealer_shows_nothing_and_is_neither_copied_nor_pickled() -> None:
    sealer = Sealer(b"k" * 32)
    assert repr(sealer) == str(sealer) == "Sealer()"
    for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="neither copied nor pickled"):
            attempt(sealer)


def test_a_sealer_knows_whether_its_file_still_keeps_its_key(tmp_path: Path) -> None:
    path = tmp_path / "sealing.key"
    sealer = Sealer.load_or_create(path)
    assert sealer.examine(path) == "ok"
    path.chmod(0o644)
    assert sealer.examine(path) == "others can read the sealing key's file"
    path.chmod(0o600)
    kept = path.read_bytes()
    for damaged in (b"nothing", b"", kept[:-5], b"\xff\xfe"):
        path.write_bytes(damaged)
        assert sealer.examine(path) == "the sealing key's file holds no key"
        with pytest.raises(KeyFileError, match="Restore it from a backup"):
            Sealer.load_or_create(path)
    path.unlink()
    assert sealer.examine(path) == "the sealing key's file is gone"
    Sealer.load_or_create(path)
    assert sealer.examine(path) == "the sealing key's file holds another key"
    path.unlink()
    path.mkdir(mode=0o700)
    assert sealer.examine(path) == "the sealing key's file cannot be read"
