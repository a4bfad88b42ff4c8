"""The authorities of a trust domain in their file: made on first use, rotated, and read again once it has changed.

Everybody who reads the file sees it whole. Replicas of one database share it, as they share the key of the log.
"""

import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from controlplane.capabilities.errors import KeyFileError
from controlplane.capabilities.keyfiles import create_private, read_private
from controlplane.identifiers.spiffe import TrustDomain
from controlplane.identity.authorities import Authorities

Change = Callable[[Authorities], Authorities]

_Stamp = tuple[int, int, int]
"""By which a file is known to be another, or changed."""


class AuthorityFile:
    """The authorities that a private file holds.

    Args:
        path: of the file.
        domain: trust domain that the first authority is made for.
    """

    def __init__(self, path: Path, domain: TrustDomain) -> None:
        self.path = path
        self.domain = domain
        self._known: tuple[_Stamp, Authorities] | None = None

    def open(self, now: float) -> Authorities:
        """Return the authorities; where there is no file, one is made, which signs at once.

        Args:
            now: Unix seconds.

        Raises:
            KeyFileError: others can read the file, or it holds something else.
            OSError: the folder cannot be read or written.
        """
        if read_private(self.path) is None:
            create_private(self.path, Authorities.create(self.domain, now).to_pem())
        return self.read()

    def read(self) -> Authorities:
        """Return the authorities as the file holds them now; one that did not change is not read again.

        Raises:
            KeyFileError: the file is gone, others can read it, or it holds something else.
            OSError: it cannot be read.
        """
        seen, known = self._stamp(), self._known
        if known is not None and known[0] == seen:
            return known[1]
        found = self._fetched()
        # What was replaced after it was looked at has another stamp, and is read again.
        self._known = None if seen is None else (seen, found)
        return found

    def rotate(self, now: float, *, at_once: bool = False) -> Authorities:
        """Make the next authority and return all; keys that sign no more are dropped from the file.

        Args:
            now: Unix seconds.
            at_once: the new one signs from now on, and nothing that the others signed is trusted any more.

        Raises:
            KeyFileError: as `read`.
            OSError: the file cannot be written.
        """

        def _next(found: Authorities) -> Authorities:
            return found.replaced(self.domain, now) if at_once else found.rotated(self.domain, now)

        return self._change(_next, now)

    def tidy(self, now: float) -> None:
        """Drop keys that sign no more from the file; it is written only where there is one.

        Raises:
            KeyFileError: as `read`.
            OSError: the file cannot be written.
        """
        found = self.read()
        if found.tidied(now).to_pem() != found.to_pem():
            self._change(lambda changed: changed.tidied(now), now)

    def _change(self, change: Change, now: float) -> Authorities:
        self.open(now)
        with _locked(self.path):
            _replace_private(self.path, change(self._fetched()).to_pem())
        return self.read()

    def _fetched(self) -> Authorities:
        pem = read_private(self.path)
        if pem is None:
            raise KeyFileError(f"{self.path} is gone. Restore it from a backup, or start anew: one is made then.")
        try:
            return Authorities.from_pem(pem)
        except ValueError as error:
            raise KeyFileError(
                f"{self.path} holds no authority: {error}. Move it away, and a new one is made."
            ) from None

    def _stamp(self) -> _Stamp | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_ctime_ns, found.st_size


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replace_private(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
