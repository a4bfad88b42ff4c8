"""A set of files is replaced as one: no reader is left with a key and a certificate that do not belong together."""

import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from adapters.svid import write_svid
from adapters.svid.files import NAMES
from tests.adapters.svid.test_tls import WORLD, shown
from tests.adapters.svid.world import ONE


def test_what_is_written_belongs_together_and_is_private(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    for _ in range(3):
        svid = shown(ONE)
        write_svid(folder, svid)
        certificate = x509.load_pem_x509_certificate((folder / "svid.pem").read_bytes())
        key = load_pem_private_key((folder / "key.pem").read_bytes(), None)
        assert certificate.public_key() == key.public_key()
        assert (folder / "svid.pem").read_text() == svid.certificate
        assert (folder / "bundle.pem").read_text() == WORLD.bundle.pem
        for path in (folder, folder / "current", *(folder / name for name in NAMES)):
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
    assert len(list(folder.glob(".svid-*"))) == 1, "what was replaced is gone"


def test_whoever_has_the_folder_of_a_set_open_reads_that_set(tmp_path: Path) -> None:
    import os

    write_svid(tmp_path, shown(ONE))
    first = (tmp_path / "svid.pem").read_text()
    held = os.open(tmp_path / "current" / "svid.pem", os.O_RDONLY)
    write_svid(tmp_path, shown(ONE))
    with os.fdopen(held) as file:
        assert file.read() == first != (tmp_path / "svid.pem").read_text()


def test_something_else_of_that_name_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("mine")
    with pytest.raises(FileExistsError):
        write_svid(tmp_path, shown(ONE))
    assert (tmp_path / "key.pem").read_text() == "mine"


def test_a_set_that_could_not_be_written_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_svid(tmp_path, shown(ONE))
    before = [(tmp_path / name).read_bytes() for name in NAMES]

    def full(_path: Path, _content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("adapters.svid.files._write", full)
    with pytest.raises(OSError, match="space"):
        write_svid(tmp_path, shown(ONE))
    assert [(tmp_path / name).read_bytes() for name in NAMES] == before
    assert len(list(tmp_path.glob(".svid-*"))) == 1
