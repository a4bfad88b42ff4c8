"""An X509-SVID in files, for workloads that read certificates from a folder: always a whole set, never half of two.

The set lies in a folder of its own, to which a link points; the names in the folder lead through that link. Replacing
the link replaces all files at once. A server reads them again when it is told to.
"""

import os
import secrets
import shutil
from pathlib import Path

from adapters.svid.identity import X509Svid

CERTIFICATE = "svid.pem"
KEY = "key.pem"
BUNDLE = "bundle.pem"
NAMES = (CERTIFICATE, KEY, BUNDLE)

_CURRENT = "current"
_PREFIX = ".svid-"


def write_svid(folder: Path, svid: X509Svid) -> None:
    """Put a set into ``folder``, in place of the one before; both folders and the key are for their owner alone.

    Args:
        folder: made when missing.
        svid: what is written: ``svid.pem``, ``key.pem`` and ``bundle.pem``.

    Raises:
        OSError: the folder cannot be written, or something else has one of the names.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = f"{_PREFIX}{secrets.token_hex(8)}"
    made = folder / name
    made.mkdir(mode=0o700)
    try:
        _write(made / CERTIFICATE, svid.certificate.encode())
        _write(made / KEY, svid.key)
        _write(made / BUNDLE, svid.bundle.pem.encode())
        _link(folder / _CURRENT, name)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    for file in NAMES:
        if not (folder / file).is_symlink():
            (folder / file).symlink_to(Path(_CURRENT) / file)
    for old in folder.glob(f"{_PREFIX}*"):
        if old.name != name and old.is_dir() and not old.is_symlink():
            shutil.rmtree(old, ignore_errors=True)


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def _link(link: Path, target: str) -> None:
    draft = link.with_name(f".{link.name}-{secrets.token_hex(8)}")
    draft.symlink_to(target)
    try:
        draft.replace(link)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
