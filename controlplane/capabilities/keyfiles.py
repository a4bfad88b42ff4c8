"""Private files: readable by their owner alone, written whole or not at all."""

import os
import secrets
from pathlib import Path

from controlplane.capabilities.errors import KeyFileError

_MAX_BYTES = 65_536


def read_private(path: Path) -> bytes | None:
    """Return the content of a private file, or none when there is no such file.

    Raises:
        KeyFileError: group or others may read or write it.
        OSError: it cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        mode = os.fstat(descriptor).st_mode & 0o777
        if mode & 0o077:
            raise KeyFileError(
                f"{path} has mode {mode:04o}: others can reach this private key. "
                f"If nobody did, run `chmod 600 {path}`; otherwise replace it as docs/operating.md says."
            )
        return file.read(_MAX_BYTES)


def create_private(path: Path, content: bytes) -> bytes:
    """Create ``path`` with mode 0600 and return what it holds: ``content``, or what another process put there first.

    Raises:
        KeyFileError: the other process left it readable by others.
        OSError: it cannot be written.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        # A link, unlike a rename, fails when the name is taken: the first writer wins.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    kept = read_private(path)
    if kept is None:
        raise KeyFileError(f"{path} vanished while it was made. Look for what else writes to that folder.")
    return kept
