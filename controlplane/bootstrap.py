"""The first administrator: one single-use secret in a private file, for as long as there is none."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import structlog

from controlplane.capabilities.keyfiles import create_private, read_private
from controlplane.identity.tokens import EnrolmentTokens

ADMINISTRATOR = "administrator"
SEGMENT = "core"
LIFETIME_SECONDS = 86_400.0
FILE = "bootstrap-secret"

_log = structlog.get_logger("ztfm.bootstrap")


class Devices(Protocol):
    """Knows who is enrolled."""

    async def has_role(self, role: str) -> bool:
        """Whether anybody was ever enrolled with a role, whatever their status."""
        ...


class Bootstrap:
    """Keeps the bootstrap secret: an enrolment token for an administrator, which works once and for a day.

    Args:
        devices: who is enrolled.
        tokens: issues the secret.
        state_dir: private folder in which it is left.
        clock: Unix seconds.
    """

    def __init__(self, devices: Devices, tokens: EnrolmentTokens, state_dir: Path, clock: Callable[[], float]) -> None:
        self._devices = devices
        self._tokens = tokens
        self._path = state_dir / FILE
        self._clock = clock

    async def offer(self) -> None:
        """Leave a secret, unless there was ever an administrator or one lies there that still works.

        Raises:
            CapabilityError: others can read the secret.
            StoreUnavailable: the store failed.
            OSError: the folder cannot be read or written.
        """
        if not await self.settle():
            if await self._devices.has_role(ADMINISTRATOR):
                return
            [secret] = await self._tokens.issue([ADMINISTRATOR], SEGMENT, LIFETIME_SECONDS)
            create_private(self._path, secret.encode() + b"\n")
        _log.warning(
            "no_administrator",
            file=str(self._path.resolve()),
            remedy="enrol the first administrator with the secret in this file; it works once, for a day",
        )

    def is_offered(self) -> bool:
        """Whether a secret lies there, as far as the file says."""
        return self._path.exists()

    async def settle(self) -> bool:
        """Remove the secret once it was used or has expired, or there was ever an administrator: then it works no more.

        Returns:
            Whether it stays.

        Raises:
            CapabilityError: others can read the secret.
            StoreUnavailable: the store failed.
            OSError: the folder cannot be read or written.
        """
        raw = read_private(self._path)
        if raw is None:
            return False
        secret = raw.decode(errors="replace").strip()
        grant = await self._tokens.lookup(secret)
        if grant is not None and grant.uses == 0 and grant.expires_at > self._clock():
            if not await self._devices.has_role(ADMINISTRATOR):
                return True
            # An administrator came by another way; who read this one must not become a second.
            await self._tokens.withdraw(secret)
        self._path.unlink(missing_ok=True)
        _log.info("bootstrap_ended", file=str(self._path))
        return False
