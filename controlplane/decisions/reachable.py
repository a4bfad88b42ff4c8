"""What may be reached on the network, as policy has it: asked for anew every two seconds while that is wanted."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog
from pydantic import ValidationError

from controlplane.contracts.attachments import ServicesQuery
from controlplane.contracts.segmentation import Service
from controlplane.decisions.engine import Answered, PolicyEngine

PACKAGE = "services"

FRESH_SECONDS = 2.0
"""New policies' services are taken over within this time."""

AGAIN_SECONDS = 1.0
"""After a failure policy is not asked again for as long; until then nothing can be reached."""

_QUESTION = ServicesQuery(ip_versions=[4, 6]).model_dump_json().encode()
_log = structlog.get_logger("ztfm.segments")


@dataclass(frozen=True)
class Reachable:
    """What policy tells.

    Attributes:
        services: by name.
        by_audience: their names.
        revision: of the policy that tells it.
    """

    services: Mapping[str, Service]
    by_audience: Mapping[str, str]
    revision: str


class ServicePolicy:
    """Knows the services. Where policy does not tell them any more, nobody goes by what it told before.

    Args:
        engine: is asked.
        timer: seconds, never stepping back.
    """

    def __init__(self, engine: PolicyEngine, *, timer: Callable[[], float]) -> None:
        self._engine = engine
        self._timer = timer
        self._current: Reachable | None = None
        self._again_at = timer()
        self._asking: asyncio.Task[None] | None = None

    async def reachable(self) -> Reachable | None:
        """Return what policy told at most a moment ago; none where it does not tell."""
        if self._asking is None and self._timer() >= self._again_at:
            self._asking = asyncio.create_task(self._renew(self._timer()))
            self._asking.add_done_callback(_retrieve)
        if self._asking is not None:
            # Whoever gives up waiting must not take the answer away from the others.
            await asyncio.shield(self._asking)
        return self._current

    async def _renew(self, asked_at: float) -> None:
        try:
            self._current = await self._ask()
            self._again_at = asked_at + (AGAIN_SECONDS if self._current is None else FRESH_SECONDS)
        finally:
            self._asking = None

    async def _ask(self) -> Reachable | None:
        answer = await self._engine.ask(PACKAGE, _QUESTION)
        if not isinstance(answer, Answered) or not isinstance(answer.document, dict):
            return None
        if self._current is not None and self._current.revision == answer.revision:
            return self._current
        stated = answer.document.get("services")
        if not isinstance(stated, dict):
            return None
        services = {name: found for name in sorted(stated) if (found := _service(name, stated[name])) is not None}
        by_audience = {service.audience: name for name, service in services.items()}
        return Reachable(services, by_audience, answer.revision)


def _service(name: str, stated: object) -> Service | None:
    try:
        return Service.model_validate(stated)
    except ValidationError:
        _log.error("service_not_understood", service=name, remedy="correct it in data/services; nobody reaches it now")
        return None


def _retrieve(task: "asyncio.Task[None]") -> None:
    # Nobody may be left to hear of a fault; what is not known afterwards opens nothing.
    if not task.cancelled():
        task.exception()
