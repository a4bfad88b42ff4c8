"""Which grants of a table became void after it was made: heard from the control plane's security events."""

import asyncio
from typing import Any

from adapters.feed import EventSource, RevocationFeed
from adapters.serversent import ServerEvent
from controlplane.contracts.events import REACH_SECONDS, SecurityEventClaims
from controlplane.contracts.segmentation import Grant

_WITHDRAWN = {"revoke", "delete"}


class GrantFeed(RevocationFeed):
    """Follows the events and tells which grants are void; `adapters.feed` has what they are checked for.

    A grant bears the id of its capability and the name of its device, so what ends either ends it. Where an event
    names neither, such as a signing key that was withdrawn or events that were missed, every grant of a table that was
    made until then is void, and the next table says which are not.

    Args:
        plane: as `RevocationFeed`.
        options: as `RevocationFeed`.

    Attributes:
        news: set whenever something became void; cleared by whoever acts on it.
    """

    def __init__(self, plane: EventSource, **options: Any) -> None:
        super().__init__(plane, **options)
        self.news = asyncio.Event()
        self._latest: SecurityEventClaims | None = None
        self._doubted = 0.0

    def is_void(self, grant: Grant, made_at: float) -> bool:
        """Whether a grant is void that stands in a table made at ``made_at`` (Unix seconds).

        While the events are not followed, what was heard before still counts, and so does that some of it was
        forgotten for want of room.
        """
        state = self._state
        if made_at <= self._doubted or state.is_distrusted(made_at) or made_at <= state.ended_until(grant.device):
            return True
        return state.standing_of(grant.id, made_at) == "revoked"

    def _verify(self, event: ServerEvent, sequence: int | None) -> SecurityEventClaims | str:
        found = super()._verify(event, sequence)
        self._latest = None if isinstance(found, str) else found
        return found

    async def _take(self, event: ServerEvent) -> None:
        missed = self.ignored["missed"]
        await super()._take(event)
        latest, self._latest = self._latest, None
        if latest is None or latest.events.verification is not None:
            return
        happened, reset = latest.events.caep, latest.events.reset
        change = latest.events.credential_change
        is_key = change is not None and change.credential_type == "signing-key" and change.change_type in _WITHDRAWN
        if happened is not None and (is_key or self.ignored["missed"] > missed):
            self._doubted = max(self._doubted, happened.event_timestamp + REACH_SECONDS)
        if reset is not None:
            self._doubted = max(self._doubted, reset.event_timestamp)
        self.news.set()
