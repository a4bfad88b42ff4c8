"""Secrets as they are kept: sealed under a key that is not in the store, each bound to its name."""

import secrets
from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from controlplane.contracts.attested import KeptResult
from controlplane.contracts.identity import Device
from controlplane.contracts.secrets import MAX_SECRET_BYTES, MIN_SECRET_BYTES, KeptSecret, RegisteredSecret

_MADE_BYTES = 32


class Sealing(Protocol):
    """Seals what lies in the store; `capabilities.sealing.Sealer` does."""

    def seal(self, secret: bytes, context: str) -> bytes:
        """Return a secret sealed; it opens under the same context alone."""
        ...

    def open(self, sealed: bytes, context: str) -> bytes:
        """Return what was sealed under a context.

        Raises:
            Exception: it was sealed with another key or for another context, or is damaged.
        """
        ...


class SecretStore(Protocol):
    """Where secrets are kept; `storage.released_secrets` is."""

    async def add(self, kept: KeptSecret, most: int) -> Literal["kept", "known", "full"]:
        """Keep a secret, unless there is one of its name, or so many already."""
        ...

    async def get(self, secret_id: str) -> KeptSecret | None:
        """Return a secret, or none."""
        ...

    async def still(self, secret_id: str, device: Device, result: KeptResult, now: float) -> KeptSecret | None:
        """Return a secret while its asker and the evidence stand as they did when that was decided, or none."""
        ...

    async def all(self) -> list[RegisteredSecret]:
        """Return what is known of each, by name."""
        ...

    async def remove(self, secret_id: str) -> bool:
        """Forget a secret for good; false when there is none of that name."""
        ...


class SecretBook:
    """Keeps secrets.

    Args:
        store: where.
        sealer: seals them.
        clock: Unix seconds.
        most: secrets at once.
    """

    def __init__(self, store: SecretStore, sealer: Sealing, clock: Callable[[], float], most: int = 10_000) -> None:
        self._store = store
        self._sealer = sealer
        self._clock = clock
        self._most = most

    async def register(self, name: str, value: bytes | None, by: str) -> RegisteredSecret | Literal["known", "full"]:
        """Keep a secret, or make one.

        Args:
            name: its name; one that is taken stays what it is.
            value: 16 to 512 bytes; none to have 32 made.
            by: who has it kept.

        Raises:
            ValueError: it is shorter or longer.
        """
        kept = secrets.token_bytes(_MADE_BYTES) if value is None else value
        if not MIN_SECRET_BYTES <= len(kept) <= MAX_SECRET_BYTES:
            raise ValueError(f"a secret has {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} bytes")
        registered = RegisteredSecret(
            id=name,
            size_bytes=len(kept),
            made_here=value is None,
            registered_by=by,
            registered_at=self._clock(),
        )
        outcome = await self._store.add(KeptSecret(registered, self._sealer.seal(kept, _context(name))), self._most)
        return registered if outcome == "kept" else outcome

    async def find(self, name: str) -> KeptSecret | None:
        """Return a secret as it is kept, sealed, or none."""
        return await self._store.get(name)

    async def still(self, name: str, device: Device, result: KeptResult) -> KeptSecret | None:
        """Return a secret that is to be released now, or none where what was decided on no longer holds.

        Args:
            name: of the secret.
            device: that asks, as it was known when its release was decided.
            result: of the evidence that binds the key to seal to.
        """
        return await self._store.still(name, device, result, self._clock())

    def open(self, kept: KeptSecret) -> bytes:
        """Return a kept secret.

        Raises:
            Exception: that of the sealer: the store and the sealing key are not of one backup.
        """
        return self._sealer.open(kept.sealed, _context(kept.registered.id))

    async def all(self) -> Sequence[RegisteredSecret]:
        """Return what is known of each, by name."""
        return await self._store.all()

    async def withdraw(self, name: str) -> bool:
        """Forget a secret for good: nobody gets it from here any more; false when there is none of that name."""
        return await self._store.remove(name)


def _context(name: str) -> str:
    return f"released secret {name}"
