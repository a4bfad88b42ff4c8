"""The control plane as a device of a site sees it: whatever lets a model in or an update out asks the site first.

The question is asked where the capability is, so that nothing which holds the client passes by it.
"""

import asyncio
import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Unpack

from adapters.answers import Grant
from adapters.blocking import SyncControlPlane
from adapters.calls import CallOptions
from adapters.errors import ControlPlaneError
from adapters.looping import Blocking, LoopThread
from adapters.plane import ControlPlane
from adapters.site.chain import Line, Mark
from adapters.site.deciding import Ruling
from adapters.site.errors import SiteFault, Vetoed
from adapters.site.site import STATE, Asked, Site
from adapters.wire import read_answer
from controlplane.capabilities.statements import statement_digest
from controlplane.contracts.access import ActionName, Resource
from controlplane.contracts.capability import Capability, CapabilityContext
from controlplane.contracts.site import MAX_STATEMENTS, SiteReports, SiteReportsTaken
from controlplane.jose.keys import DeviceKey

PATH = "/v1/site/decisions"
HAND_IN_SECONDS = 5.0
"""That handing in may take, beside what it is done for."""

PAUSE_SECONDS = 30.0
"""Nothing is handed in for so long after the control plane could not be reached."""

_log = logging.getLogger("ztfm.site")
_paused_until: dict[str, float] = {}


@dataclass(frozen=True, slots=True)
class Veto(Grant):
    """The answer of a site that lets nothing happen: nobody was asked for the capability."""

    def require(self) -> Capability:
        """Raise it.

        Raises:
            Vetoed: always.
        """
        raise Vetoed(self.reasons)


class SitedControlPlane(ControlPlane):
    """`ControlPlane` for a device of a site; the arguments are those, and the site."""

    def __init__(self, url: str, key: DeviceKey, site: Site, **options: Unpack[CallOptions]) -> None:
        super().__init__(url, key, **options)
        self._site = site

    async def capability(
        self, action: ActionName, resource: Resource, audience: str, context: CapabilityContext | None = None
    ) -> Grant:
        """Ask for a capability, once the site lets it; `Veto` when it does not.

        An update of which no digest is told is one that the site's policy knows nothing of: `submission` tells it. An
        inference brings no model in and takes no update out, so the site is not asked about it.
        """
        if action == "inference":
            return await super().capability(action, resource, audience, context)
        if action == "gradient_submission":
            return await self.submission(resource, audience, context, None)
        stated = context or CapabilityContext()
        digest = resource.properties.digest if resource.properties else None
        asked = Asked(resource.id, audience, digest, stated.round_id, stated.purpose)
        ruling = await asyncio.to_thread(self._site.model_in, asked)
        if not ruling.allowed:
            return await self._vetoed(ruling)
        grant = await super().capability(action, resource, audience, context)
        self._is_reached()
        return grant

    async def submission(
        self, resource: Resource, audience: str, context: CapabilityContext | None, digest: str | None
    ) -> Grant:
        """Ask for a capability to submit the update of a digest, once the site lets it out."""
        stated = context or CapabilityContext()
        asked = Asked(resource.id, audience, digest, stated.round_id)
        ruling, charge = await asyncio.to_thread(self._site.update_out, asked)
        if not ruling.allowed:
            return await self._vetoed(ruling)
        is_spent = False
        try:
            grant = await super().capability("gradient_submission", resource, audience, context)
            is_spent = grant.allowed
            self._is_reached()
        finally:
            # Whoever was not answered has nothing to show, so the update stays here.
            await asyncio.shield(asyncio.to_thread(self._site.settle, charge, is_spent=is_spent))
        return grant

    async def hand_in(self) -> int:
        """Hand in what the site decided and was not handed in yet, oldest first; return how many decisions.

        Raises:
            ControlPlaneError: any of `adapters.errors`; what was not taken is kept.
            SiteFault: the site's record cannot be read.
        """
        site, done = self._site, 0
        with _alone(site) as is_alone:
            while is_alone:
                lines, start = await asyncio.to_thread(_pending, site)
                if not lines:
                    break
                batch = lines[:MAX_STATEMENTS]
                body = SiteReports(statements=[line.statement for line in batch])
                taken = read_answer(SiteReportsTaken, await self._post_once(PATH, body))
                if taken.refused:
                    _log.warning("%d decisions of the site were not taken as this device's", taken.refused)
                last, end = batch[-1], start + sum(line.size for line in batch)
                mark = Mark(last.decision.sequence, end, statement_digest(last.statement))
                await asyncio.to_thread(_mark, site, mark)
                done += len(batch)
        return done

    async def close(self) -> None:
        """Hand in what is left, where that can be done soon, and give back the connections."""
        try:
            await self._hand_in_soon()
        finally:
            await super().close()

    async def _vetoed(self, ruling: Ruling) -> Veto:
        await self._hand_in_soon()
        return Veto(False, ruling.reasons, "", "", "deny", None)

    def _is_reached(self) -> None:
        """The control plane answered: what waits need wait no longer."""
        _paused_until.pop(self._site.chain.subject, None)

    async def _hand_in_soon(self) -> None:
        subject = self._site.chain.subject
        if time.monotonic() < _paused_until.get(subject, 0.0):
            return
        try:
            async with asyncio.timeout(HAND_IN_SECONDS):
                await self.hand_in()
        except (ControlPlaneError, SiteFault, TimeoutError) as error:
            _paused_until[subject] = time.monotonic() + PAUSE_SECONDS
            _log.info("decisions of the site are handed in later: %s", error)


class SitedSyncControlPlane(SyncControlPlane):
    """`SitedControlPlane` for code without an event loop.

    Attributes:
        site: whose word counts beside the control plane's.
    """

    def __init__(self, url: str, key: DeviceKey, site: Site, **options: Unpack[CallOptions]) -> None:
        self._sited = SitedControlPlane(url, key, site, **options)
        Blocking.__init__(self, self._sited, LoopThread())
        self.site = site

    def capability(
        self, action: ActionName, resource: Resource, audience: str, context: CapabilityContext | None = None
    ) -> Grant:
        """As `SitedControlPlane.capability`."""
        return self._thread.run(self._sited.capability(action, resource, audience, context))

    def submission(
        self, resource: Resource, audience: str, context: CapabilityContext | None, digest: str | None
    ) -> Grant:
        """As `SitedControlPlane.submission`."""
        return self._thread.run(self._sited.submission(resource, audience, context, digest))

    def hand_in(self) -> int:
        """As `SitedControlPlane.hand_in`."""
        return self._thread.run(self._sited.hand_in())


@contextmanager
def _alone(site: Site) -> Iterator[bool]:
    """Enter as the one process that hands in for a device; whether it is that one."""
    path = site.folder / STATE / f"{site.chain.path.stem}.lock"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SiteFault("log_unavailable", f"{path}: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(descriptor)


def _pending(site: Site) -> tuple[list[Line], int]:
    with site.ledger.opened() as entry:
        mark = entry.handed_in(site.chain.subject)
    return site.chain.after(mark)


def _mark(site: Site, mark: Mark) -> None:
    with site.ledger.opened() as entry:
        entry.hand_in(site.chain.subject, mark)
