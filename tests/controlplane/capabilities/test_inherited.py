import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from controlplane.capabilities.errors import KeyFileError
from controlplane.capabilities.inherited import read_inherited
from controlplane.jose.keys import SigningKey


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A private file that is empty."""
    found = tmp_path / "signing-key.pem"
    found.touch(mode=0o600)
    return found


def test_a_key_is_read_with_its_age(path: Path) -> None:
    key = SigningKey.generate()
    path.write_bytes(key.to_pem())
    os.utime(path, (1e9, 1e9))
    found = read_inherited(path)
    assert found is not None
    assert (found.key.kid, found.since) == (key.kid, 1e9)
    assert "PRIVATE" not in repr(found)


def test_where_there_is_no_file_there_is_no_key(tmp_path: Path) -> None:
    assert read_inherited(tmp_path / "signing-key.pem") is None


def test_a_key_that_others_can_read_is_refused(path: Path) -> None:
    path.write_bytes(SigningKey.generate().to_pem())
    path.chmod(0o640)
    with pytest.raises(KeyFileError, match="chmod 600"):
        read_inherited(path)


def _rsa() -> bytes:
    key = rsa.generate_private_key(65_537, 2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    "content",
    [b"", b"garbage", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", _rsa()],
    ids=["empty", "garbage", "damaged", "rsa"],
)
def test_a_file_without_a_p256_key_is_a_fault(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(KeyFileError, match="holds no P-256 private key"):
        read_inherited(path)
