"""Resolves DIDs of several methods, and remembers for a while what it found.

Whoever is asked, is asked once at a time about a DID, by few questions at once, and not for long. A failure is
remembered for a shorter time than a document: so a fault is over soon, and nobody can have a server asked without end.
What cannot be had is no document: an old one is never shown in its place.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from controlplane.identifiers.dids import DidInvalid, parse_did
from controlplane.identifiers.documents import Resolution, resolved, unresolved
from controlplane.identity.resolving.interface import DidMethod, NotResolved

Observe = Callable[[str, str], None]
"""Is told the method and what came of it: ``resolved``, ``cached``, or the name of an error."""

_log = structlog.get_logger("ztfm.resolving")


@dataclass(frozen=True, slots=True)
class ResolverLimits:
    """Bounds of a resolver.

    Attributes:
        keep_seconds: how long a document counts after it was fetched.
        keep_failed_seconds: how long nobody is asked again after a failure.
        capacity: DIDs that are remembered at most; who was not asked about for longest is forgotten first.
        at_once: DIDs that others are asked about at once.
        deadline_seconds: until a question is given up.
    """

    keep_seconds: float = 300.0
    keep_failed_seconds: float = 15.0
    capacity: int = 1024
    at_once: int = 16
    deadline_seconds: float = 10.0


class Resolver:
    """Resolves DIDs. Belongs to one event loop; close it.

    Args:
        methods: by name; what none of them is, does not resolve.
        clock: Unix seconds, for what is said of when it was learnt.
        timer: seconds that never step back, for how long it counts.
        limits: bounds.
        observe: is told of each resolution.
    """

    def __init__(
        self,
        methods: Mapping[str, DidMethod],
        *,
        clock: Callable[[], float],
        timer: Callable[[], float],
        limits: ResolverLimits | None = None,
        observe: Observe = lambda _method, _outcome: None,
    ) -> None:
        self._methods = dict(methods)
        self._clock = clock
        self._timer = timer
        self._limits = limits or ResolverLimits()
        self._observe = observe
        self._known: OrderedDict[str, tuple[float, Resolution]] = OrderedDict()
        self._asking: dict[str, asyncio.Task[Resolution]] = {}

    @property
    def methods(self) -> tuple[str, ...]:
        """The names of the methods that there are."""
        return tuple(self._methods)

    async def resolve(self, did: str) -> Resolution:
        """Return what a DID stands for, or why that cannot be said. Raises nothing but for a fault of ours."""
        try:
            name = parse_did(did).method
        except DidInvalid as error:
            return self._told("", unresolved("invalidDid", str(error), self._clock()))
        method = self._methods.get(name)
        if method is None:
            known = ", ".join(f"did:{one}" for one in self._methods)
            detail = f"did:{name} is not resolved here; these are: {known}"
            return self._told(name, unresolved("methodNotSupported", detail, self._clock()))
        try:
            method.check(did)
        except NotResolved as refusal:
            return self._told(name, unresolved(refusal.error, str(refusal), self._clock()))
        if method.is_computed(did):
            return self._told(name, await self._ask(method, did))
        return self._told(name, self._remembered(did) or await self._ask_once(method, did))

    def forget(self, did: str) -> None:
        """Have a DID asked about again when it is next resolved: its owner changed it."""
        self._known.pop(did, None)

    async def close(self) -> None:
        """End what is under way, and give back what the methods hold."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for method in self._methods.values():
            await method.close()

    def _told(self, method: str, resolution: Resolution) -> Resolution:
        is_cached = resolution.did_resolution_metadata.from_cache
        self._observe(method, resolution.error or ("cached" if is_cached else "resolved"))
        return resolution

    def _remembered(self, did: str) -> Resolution | None:
        found = self._known.get(did)
        if found is None or self._timer() >= found[0]:
            return None
        self._known.move_to_end(did)
        return found[1]

    async def _ask_once(self, method: DidMethod, did: str) -> Resolution:
        task = self._asking.get(did)
        if task is None:
            if len(self._asking) >= self._limits.at_once:
                detail = f"{self._limits.at_once} others are being asked about now; ask again in a second"
                return unresolved("internalError", detail, self._clock())
            task = self._asking[did] = asyncio.create_task(self._learn(method, did), name="resolve")
            task.add_done_callback(lambda _: self._asking.pop(did, None))
        # One caller's cancellation must not cancel the answer of the others.
        return await asyncio.shield(task)

    async def _learn(self, method: DidMethod, did: str) -> Resolution:
        found = await self._ask(method, did)
        seconds = self._limits.keep_failed_seconds if found.error else self._limits.keep_seconds
        metadata = found.did_resolution_metadata.model_copy(update={"from_cache": True})
        kept = found.model_copy(update={"did_resolution_metadata": metadata})
        self._known[did] = self._timer() + seconds, kept
        self._known.move_to_end(did)
        while len(self._known) > self._limits.capacity:
            self._known.popitem(last=False)
        return found

    async def _ask(self, method: DidMethod, did: str) -> Resolution:
        try:
            async with asyncio.timeout(self._limits.deadline_seconds):
                found = await method.resolve(did)
        except NotResolved as refusal:
            return unresolved(refusal.error, str(refusal), self._clock())
        except TimeoutError:
            detail = f"nobody answered within {self._limits.deadline_seconds:g} s"
            return unresolved("internalError", detail, self._clock())
        except Exception:  # noqa: BLE001 - a method may be anybody's: its fault is logged, and resolves nothing
            _log.exception("did_method_failed", method=method.name)
            return unresolved("internalError", f"did:{method.name} failed; the log says how", self._clock())
        if found.document.id != did or (found.deactivated and found.document.verification_method):
            return unresolved("invalidDidDocument", "it is the document of another DID, or of none", self._clock())
        return resolved(found.document, self._clock(), deactivated=found.deactivated, version=found.version)
