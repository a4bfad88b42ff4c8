"""Profiles of subjects, between the store, which keeps documents, and behaviour, which makes something of them."""

from collections.abc import Collection, Mapping
from typing import Generic, TypeVar

import structlog
from pydantic import ValidationError

from controlplane.contracts.base import StrictModel
from controlplane.contracts.behaviour import Channel
from controlplane.storage.profiles import KeptProfile, Profiles

Profile = TypeVar("Profile", bound=StrictModel)

_log = structlog.get_logger("ztfm.behaviour")


class ProfileBook(Generic[Profile]):
    """Reads and replaces the profiles of one channel.

    Args:
        store: keeps them.
        channel: which.
        model: what a document is.
    """

    def __init__(self, store: Profiles, channel: Channel, model: type[Profile]) -> None:
        self._store = store
        self._channel = channel
        self._model = model

    async def open(self, subjects: Collection[str]) -> "Opened[Profile]":
        """Return what is kept of subjects.

        Raises:
            StoreUnavailable: the store failed.
        """
        kept = await self._store.get(self._channel, subjects)
        return Opened(kept, {name: found for name, one in kept.items() if (found := self._read(one)) is not None})

    async def replace(self, opened: "Opened[Profile]", profiles: Mapping[str, Profile], now: float) -> frozenset[str]:
        """Replace profiles that were opened; return the subjects whose somebody else replaced meanwhile and are left.

        Raises:
            StoreUnavailable: the store failed.
        """
        sent = {
            name: KeptProfile(one.model_dump_json().encode(), opened.version_of(name)) for name, one in profiles.items()
        }
        return await self._store.put(self._channel, sent, now)

    def _read(self, kept: KeptProfile) -> Profile | None:
        try:
            return self._model.model_validate_json(kept.document)
        except ValidationError:
            # Of another version: what it knew is learnt anew.
            _log.warning("profile_unread", channel=self._channel)
            return None


class Opened(Generic[Profile]):
    """Profiles as they were read.

    Attributes:
        profiles: by subject; of whom nothing is known, is absent.
    """

    def __init__(self, kept: Mapping[str, KeptProfile], profiles: Mapping[str, Profile]) -> None:
        self.profiles = profiles
        self._kept = kept

    def version_of(self, subject: str) -> int:
        """How often a subject's was replaced; 0 without one."""
        kept = self._kept.get(subject)
        return kept.version if kept else 0
