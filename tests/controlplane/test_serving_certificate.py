"""The pair that TLS is served with: a certificate and its own key, whoever wrote last, however it was left."""

import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from controlplane.capabilities.channels import server_context
from controlplane.certifying import AuthorityFile
from controlplane.entry import authorities_of
from controlplane.serving_certificate import AUTHORITY, CERTIFICATE, KEY, keep_certificate
from controlplane.settings import Settings

NOW = time.time()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path, tls_own=True)


@pytest.fixture
def authorities(settings: Settings) -> AuthorityFile:
    return authorities_of(settings)


@pytest.fixture
def folder(settings: Settings, authorities: AuthorityFile) -> Path:
    assert keep_certificate(settings, authorities, NOW)
    return settings.state_dir / "tls"


def pair_holds(folder: Path) -> bool:
    try:
        server_context(folder / CERTIFICATE, folder / KEY)
    except ssl.SSLError:
        return False
    return True


def test_a_key_that_is_not_the_certificates_is_made_anew_with_it(
    settings: Settings, authorities: AuthorityFile, folder: Path
) -> None:
    other = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for content in (other, b"", b"-----BEGIN PRIVATE KEY-----\n"):
        (folder / KEY).write_bytes(content)
        assert not pair_holds(folder)
        assert keep_certificate(settings, authorities, NOW)
        assert pair_holds(folder)
    assert not keep_certificate(settings, authorities, NOW)


def test_a_key_that_others_could_read_is_made_anew(
    settings: Settings, authorities: AuthorityFile, folder: Path
) -> None:
    before = (folder / KEY).read_bytes()
    (folder / KEY).chmod(0o640)
    assert keep_certificate(settings, authorities, NOW)
    assert (folder / KEY).read_bytes() != before
    assert (folder / KEY).stat().st_mode & 0o777 == 0o600


def test_of_several_that_renew_at_once_one_does(settings: Settings, authorities: AuthorityFile, folder: Path) -> None:
    with ThreadPoolExecutor(8) as several:
        for days in (300, 600, 900):
            at = [NOW + days * 86_400.0] * 8
            written = list(several.map(lambda now: keep_certificate(settings, authorities_of(settings), now), at))
            assert written.count(True) == 1
            assert pair_holds(folder)
    assert {path.name for path in folder.iterdir()} == {CERTIFICATE, KEY, AUTHORITY, ".lock"}


def test_a_certificate_that_is_not_valid_yet_is_made_anew(
    settings: Settings, authorities: AuthorityFile, folder: Path
) -> None:
    assert keep_certificate(settings, authorities, NOW + 300 * 86_400.0)
    assert keep_certificate(settings, authorities, NOW)


def test_clients_learn_of_an_authority_before_it_signs(
    settings: Settings, authorities: AuthorityFile, folder: Path
) -> None:
    certificate = (folder / CERTIFICATE).read_bytes()
    (folder / AUTHORITY).write_text("of before")
    assert not keep_certificate(settings, authorities, NOW)
    assert (folder / AUTHORITY).read_text() == authorities.read().trusted_pem(NOW)
    assert (folder / CERTIFICATE).read_bytes() == certificate


def test_an_address_that_is_written_at_length_is_the_same(authorities: AuthorityFile, settings: Settings) -> None:
    at_length = settings.model_copy(update={"listen_host": "0:0:0:0:0:0:0:1"})
    assert keep_certificate(at_length, authorities, NOW)
    assert not keep_certificate(at_length, authorities, NOW)


def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_its_password(folder: Path) -> None:
    key = generate_private_key(SECP256R1())
    (folder / KEY).write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"a password"))
    )
    with pytest.raises(OSError, match="encrypted"):
        server_context(folder / CERTIFICATE, folder / KEY)
