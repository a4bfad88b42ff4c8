"""Where devices are on the network, in memory: a capability of a device that is nowhere costs one look-up."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import structlog

from controlplane.contracts.segmentation import Attachment
from controlplane.decisions.following import MAX_SILENCE_SECONDS, Sleep, in_step

PAGE = 1000

_log = structlog.get_logger("ztfm.segments")


class AttachmentStore(Protocol):
    """Keeps attachments; `storage.segments` does."""

    async def changes(self) -> int:
        """Return how often attachments were changed."""
        ...

    async def attached(self, after: str = "", limit: int = PAGE) -> Sequence[Attachment]:
        """Return attachments, in order of device."""
        ...


class AttachmentObserver(Protocol):
    """Shows how many there are."""

    def attached(self, attachments: int) -> None:
        """So many devices' places are known."""
        ...


class CurrentAttachments:
    """Where devices are, without asking the store for each capability.

    Args:
        store: keeps attachments.
        observer: shows how many there are.
        timer: seconds, never stepping back.
    """

    def __init__(self, store: AttachmentStore, observer: AttachmentObserver, timer: Callable[[], float]) -> None:
        self._store = store
        self._observer = observer
        self._timer = timer
        self._by_device: Mapping[str, Attachment] = {}
        self._changes: int | None = None
        self._read_at: float | None = None
        self._turn = asyncio.Lock()

    def __len__(self) -> int:
        return len(self._by_device)

    @property
    def is_known(self) -> bool:
        """Whether all that was said until lately is known here."""
        return self._read_at is not None and self._timer() - self._read_at <= MAX_SILENCE_SECONDS

    def of(self, device: str) -> Attachment | None:
        """Return where a device is; none where that is not known."""
        found = self._by_device.get(device)
        return found if found is not None and self.is_known else None

    def all(self) -> Sequence[Attachment]:
        """Return where all devices are, in order of device; none while that is not known."""
        return tuple(self._by_device.values()) if self.is_known else ()

    async def refresh(self) -> None:
        """Know what the store holds now.

        Raises:
            StoreUnavailable: it cannot be read; what was known stays.
        """
        async with self._turn:
            read_at = self._timer()
            changes = await self._store.changes()
            if changes != self._changes:
                self._by_device = await self._read()
                self._changes = changes
            self._read_at = read_at
        self._observer.attached(len(self))

    def following(self, sleep: Sleep = asyncio.sleep) -> AbstractAsyncContextManager[None]:
        """Be in step with the store for as long as the context is entered; see `in_step`."""
        return in_step("attachments", self.refresh, sleep)

    async def _read(self) -> Mapping[str, Attachment]:
        found: dict[str, Attachment] = {}
        page = await self._store.attached(limit=PAGE)
        while page:
            found.update((one.device, one) for one in page)
            page = await self._store.attached(page[-1].device, PAGE) if len(page) == PAGE else ()
        return found
