"""Capabilities that renew themselves: asked for once, kept while they hold, replaced before they run out.

A capability is used until a fraction of its life has passed, spread by chance so that a fleet does not ask in step.
Whoever uses it then still gets it, while the next is fetched; nobody is given one that has run out. One that is not
used is not renewed: an idle device asks for nothing, and spends no budget.

Kept are capabilities to pull and to infer. One to submit works once, so each wish for one asks anew. A denial is not
kept either, and a denied renewal ends what was kept: policy's newest word counts.
"""

import asyncio
import random
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from adapters.answers import Grant
from adapters.errors import ControlPlaneError
from controlplane.contracts.access import ActionName, Resource
from controlplane.contracts.capability import CapabilityContext

FRACTION = 0.6
JITTER = 0.15
MARGIN_SECONDS = 1.0
PAUSE_SECONDS = 1.0
CAPACITY = 64

_KEPT: frozenset[ActionName] = frozenset({"model_access", "inference"})


class Issuer(Protocol):
    """Who is asked for capabilities: `adapters.client.ControlPlane`."""

    async def capability(
        self, action: ActionName, resource: Resource, audience: str, context: CapabilityContext | None = None
    ) -> Grant:
        """Return a capability, or why there is none."""
        ...


class _Wish(NamedTuple):
    action: ActionName
    resource: str
    audience: str
    context: str


@dataclass
class _Kept:
    """A capability with its times, on the timer's clock."""

    grant: Grant
    renew_at: float
    ends_at: float


class Capabilities:
    """Keeps a caller's capabilities fresh, each by what it is for. Belongs to one event loop; an async context manager.

    Args:
        issuer: the control plane, spoken to as the caller.
        fraction: of a capability's life, after which the next is asked for.
        jitter: spread of that point, as a share of the life; ``fraction`` and ``jitter`` together stay below 1.
        margin_seconds: a capability that ends sooner is handed out no more; it must still travel. At most a tenth
            of its life is taken for it.
        capacity: capabilities kept; those not used for longest go first.
        timer: seconds, never stepping back.
        chance: returns a number in [0, 1).

    Raises:
        ValueError: the numbers cannot be.
    """

    def __init__(
        self,
        issuer: Issuer,
        *,
        fraction: float = FRACTION,
        jitter: float = JITTER,
        margin_seconds: float = MARGIN_SECONDS,
        capacity: int = CAPACITY,
        timer: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        if not (0 < fraction < 1 and 0 <= jitter < 1 - fraction and margin_seconds >= 0 and capacity >= 1):
            raise ValueError(
                "a capability is renewed within its life (fraction + jitter < 1), and there is room for one"
            )
        self._issuer = issuer
        self._fraction = fraction
        self._jitter = jitter
        self._margin = margin_seconds
        self._capacity = capacity
        self._timer = timer
        self._chance = chance
        self._kept: OrderedDict[_Wish, _Kept] = OrderedDict()
        self._asking: dict[_Wish, asyncio.Task[Grant]] = {}
        self._asked_at: dict[_Wish, float] = {}
        self._is_closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Forget everything, and end what is being asked; whoever waits for it is cancelled."""
        self._is_closed = True
        asking = list(self._asking.values())
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        self._kept.clear()

    async def get(
        self, action: ActionName, resource: Resource, audience: str, context: CapabilityContext | None = None
    ) -> Grant:
        """Return a capability that holds now, or why there is none. However many ask at once, one request is made.

        Raises:
            ControlPlaneError: there is none to hand out, and the control plane gave no answer.
            RuntimeError: this was closed.
        """
        if self._is_closed:
            raise RuntimeError("these capabilities were closed")
        ask = partial(self._issuer.capability, action, resource, audience, context)
        if action not in _KEPT:
            return await ask()
        stated = (context or CapabilityContext()).model_dump_json()
        wish = _Wish(action, resource.model_dump_json(), audience, stated)
        kept, now = self._kept.get(wish), self._timer()
        if kept is None or now >= kept.ends_at:
            return await asyncio.shield(self._started(wish, ask))
        self._kept.move_to_end(wish)
        if now >= kept.renew_at and now - self._asked_at.get(wish, now) >= PAUSE_SECONDS:
            self._started(wish, ask)
        return kept.grant

    async def forget(self) -> None:
        """Hand out nothing that is kept now, such as after a revocation."""
        self._kept.clear()

    def _started(self, wish: _Wish, ask: Callable[[], Awaitable[Grant]]) -> asyncio.Task[Grant]:
        if wish not in self._asking:
            task = asyncio.create_task(self._asked(wish, ask), name="ztfm-renewal")
            task.add_done_callback(_seen)
            self._asking[wish] = task
        return self._asking[wish]

    async def _asked(self, wish: _Wish, ask: Callable[[], Awaitable[Grant]]) -> Grant:
        # A life is counted from before the request: the issuer's clock started later, never earlier.
        begun = self._asked_at[wish] = self._timer()
        try:
            grant = await ask()
            self._keep(wish, grant, begun)
            return grant
        finally:
            del self._asking[wish]

    def _keep(self, wish: _Wish, grant: Grant, begun: float) -> None:
        self._kept.pop(wish, None)
        if grant.capability is not None:
            life = grant.capability.expires_in
            spread = self._jitter * (2 * self._chance() - 1)
            ends_at = begun + life - min(self._margin, life / 10)
            self._kept[wish] = _Kept(grant, min(begun + life * (self._fraction + spread), ends_at), ends_at)
        while len(self._kept) > self._capacity:
            self._kept.popitem(last=False)
        for gone in self._asked_at.keys() - self._kept.keys() - self._asking.keys():
            del self._asked_at[gone]


def _seen(renewal: "asyncio.Task[Grant]") -> None:
    """A renewal that fails is tried again at the next use; what is kept serves until its end."""
    error = None if renewal.cancelled() else renewal.exception()
    if error is not None and not isinstance(error, ControlPlaneError):
        raise error
