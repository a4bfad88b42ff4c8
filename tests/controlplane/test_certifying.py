"""Authorities in their file: one for all who read it, whole at all times, and private."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from controlplane.capabilities.errors import KeyFileError
from controlplane.certifying import AuthorityFile
from controlplane.identifiers.spiffe import TrustDomain
from controlplane.identity.authorities import OVERLAP_SECONDS
from controlplane.identity.authority import CertificateAuthority

NOW = 1_767_225_600.0
DOMAIN = TrustDomain("homes.example")


@pytest.fixture
def file(tmp_path: Path) -> AuthorityFile:
    return AuthorityFile(tmp_path / "authority.pem", DOMAIN)


def test_the_first_is_made_once_by_whoever_comes_first(file: AuthorityFile) -> None:
    def opened(_turn: int) -> list[object]:
        return list(AuthorityFile(file.path, DOMAIN).open(NOW).trusted(NOW))

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(opened, range(8)))
    assert all(one == found[0] for one in found)
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


def test_rotations_at_the_same_time_make_one(file: AuthorityFile) -> None:
    file.open(NOW)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _turn: AuthorityFile(file.path, DOMAIN).rotate(NOW + 10), range(8)))
    assert len(file.read().trusted(NOW + 20)) == 2
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert [path.name for path in file.path.parent.iterdir() if path.name.startswith(".authority.pem.")] == [
        ".authority.pem.lock"
    ]


def test_what_another_process_changed_is_read_and_what_did_not_change_is_not(file: AuthorityFile) -> None:
    first = file.open(NOW)
    assert file.read() is first
    AuthorityFile(file.path, DOMAIN).rotate(NOW + 10)
    assert file.read() is not first
    assert len(file.read().trusted(NOW + 20)) == 2


def test_the_key_of_one_that_signs_no_more_leaves_the_file(file: AuthorityFile) -> None:
    file.open(NOW)
    file.rotate(NOW + 10)
    written = file.path.stat().st_mtime_ns
    file.tidy(NOW + 20)
    assert file.path.stat().st_mtime_ns == written, "nothing to be dropped yet"
    file.tidy(NOW + 20 + OVERLAP_SECONDS)
    assert file.path.read_bytes().count(b"BEGIN PRIVATE KEY") == 1
    assert len(file.read().trusted(NOW + 20 + OVERLAP_SECONDS)) == 2


def test_a_file_from_before_there_were_several_is_read_and_rotated(file: AuthorityFile) -> None:
    only = CertificateAuthority.create(DOMAIN, NOW)
    file.path.touch(0o600)
    file.path.write_bytes(only.to_pem())
    assert file.open(NOW).signing(NOW).certificate == only.certificate
    assert file.rotate(NOW + 10).trusted(NOW + 20)[0] == only.certificate


def test_a_file_that_others_can_read_or_that_holds_something_else_is_refused(file: AuthorityFile) -> None:
    sound = file.open(NOW).to_pem()
    for content in (b"", b"rubbish", b"\xff" * 10):
        file.path.write_bytes(content)
        with pytest.raises(KeyFileError, match="holds no authority"):
            file.read()
    file.path.write_bytes(sound)
    assert file.read().to_pem() == sound
    file.path.chmod(0o644)
    with pytest.raises(KeyFileError, match="0644"):
        file.read()
    file.path.unlink()
    with pytest.raises(KeyFileError, match="gone"):
        file.read()
