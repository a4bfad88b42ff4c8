"""The certificate that a control plane serves TLS with by itself: of its own authority, and renewed in time."""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from controlplane.certifying import AuthorityFile
from controlplane.identity.authority import CertificateAuthority
from controlplane.settings import Settings

FOLDER = "tls"
CERTIFICATE, KEY, AUTHORITY = "server.pem", "server-key.pem", "authority.pem"

_RENEWED_AT = 1 / 3
"""Of its time; what is left of it then is long enough for whoever looks seldom."""

_ANY = {"0.0.0.0", "::"}  # noqa: S104 - compared with, not bound to
_LOOPBACK = ("localhost", "127.0.0.1")


def write_certificate(folder: Path, hosts: list[str], signing: CertificateAuthority, trusted: str, now: float) -> None:
    """Write a server certificate, its key, and the authorities that clients trust, each file whole or not at all.

    The key comes first: to have a new certificate without its key leaves OpenSSL with neither.

    Args:
        folder: made, for its owner alone.
        hosts: names and addresses of the server, the first one its own.
        signing: the authority that signs.
        trusted: PEM of all authorities.
        now: Unix seconds.

    Raises:
        ValueError: a host is neither a name nor an address, or the authority has expired.
        OSError: a file cannot be written.
    """
    with _locked(folder):
        _write(folder, hosts, signing, trusted, now)


def keep_certificate(settings: Settings, authorities: AuthorityFile, now: float) -> bool:
    """Write the server certificate anew where there is none that holds for a while; return whether it was.

    It is written anew, too, for other hosts, when another authority signs, and when the key is not its own, or was
    there for others to read. Of several processes, one writes it. The authorities that clients trust are kept current.

    Raises:
        ValueError: a host is neither a name nor an address.
        CapabilityError: the authority's file cannot be used.
        OSError: a file cannot be read or written.
    """
    folder, opened = settings.state_dir / FOLDER, authorities.open(now)
    signing, hosts, trusted = opened.signing(now), hosts_of(settings), opened.trusted_pem(now)
    if _holds(folder, hosts, signing, now) and _is_current(folder, trusted):
        return False
    with _locked(folder):
        if not _holds(folder, hosts, signing, now):
            _write(folder, hosts, signing, trusted, now)
            return True
        if not _is_current(folder, trusted):
            _replace(folder / AUTHORITY, trusted.encode(), 0o644)
        return False


def hosts_of(settings: Settings) -> list[str]:
    """Return the names and addresses under which a control plane is reached, as far as its settings say."""
    urls = (settings.public_url, settings.tls_public_url)
    named = [host for url in urls if url and (host := urlsplit(url).hostname)]
    own = [] if settings.listen_host in _ANY else [settings.listen_host]
    return list(dict.fromkeys([*named, *own, *_LOOPBACK]))


def _holds(folder: Path, hosts: list[str], signing: CertificateAuthority, now: float) -> bool:
    try:
        found = x509.load_pem_x509_certificate((folder / CERTIFICATE).read_bytes())
        found.verify_directly_issued_by(signing.certificate)
        named = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        key = load_pem_private_key((folder / KEY).read_bytes(), None)
        is_its = key.public_key() == found.public_key() and not (folder / KEY).stat().st_mode & 0o077
    except (OSError, ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm, x509.ExtensionNotFound):
        return False
    begins, ends = found.not_valid_before_utc.timestamp(), found.not_valid_after_utc.timestamp()
    known = {str(name.value) for name in named}
    is_timely = begins <= now and ends - now > (ends - begins) * _RENEWED_AT
    return is_its and is_timely and {_as_named(host) for host in hosts} <= known


def _is_current(folder: Path, trusted: str) -> bool:
    try:
        return (folder / AUTHORITY).read_text() == trusted
    except (OSError, ValueError):
        return False


def _as_named(host: str) -> str:
    try:
        return str(ip_address(host))
    except ValueError:
        return host


def _write(folder: Path, hosts: list[str], signing: CertificateAuthority, trusted: str, now: float) -> None:
    key = generate_private_key(SECP256R1())
    certificate = signing.issue_server(hosts, key.public_key(), now)
    _replace(folder / KEY, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600)
    _replace(folder / CERTIFICATE, certificate.public_bytes(Encoding.PEM), 0o644)
    _replace(folder / AUTHORITY, trusted.encode(), 0o644)


def _replace(path: Path, content: bytes, mode: int) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
