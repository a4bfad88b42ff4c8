"""Which models have a privacy plan, as policy has it: asked for anew every two seconds while that is wanted.

Nobody waits for it but whoever asks first: what is computed for a plan that policy has no more proves nothing to it.
"""

import asyncio
from collections.abc import Callable, Mapping

import orjson

from controlplane.contracts.privacy import PRIVACY_MODES, PrivacyPlan, PrivacyPlans, PrivacyQuery
from controlplane.decisions.engine import Answered, PolicyEngine

PACKAGE = "privacy"
FRESH_SECONDS = 2.0
"""New policies' plans are taken over within this time; until then what they ask for otherwise is denied."""

AGAIN_SECONDS = 1.0
"""After a failure policy is not asked again for as long; until then it is not known who has a plan."""

_QUESTION = PrivacyQuery(modes=list(PRIVACY_MODES)).model_dump_json().encode()


class PrivacyPolicy:
    """Knows the plans. Where policy does not tell them any more, nobody goes by what it told before.

    Args:
        engine: is asked.
        timer: seconds, never stepping back.
    """

    def __init__(self, engine: PolicyEngine, *, timer: Callable[[], float]) -> None:
        self._engine = engine
        self._timer = timer
        self._revision = ""
        self._current: Mapping[str, PrivacyPlan] | None = None
        self._again_at = timer()
        self._is_first = True
        self._asking: asyncio.Task[None] | None = None

    async def plans(self) -> Mapping[str, PrivacyPlan] | None:
        """Return the plans by model as policy told them last; none where it does not tell them."""
        if self._asking is None and self._timer() >= self._again_at:
            self._asking = asyncio.create_task(self._renew(self._timer()))
            self._asking.add_done_callback(_retrieve)
        if self._is_first and self._asking is not None:
            # Whoever gives up waiting must not take the answer away from the others.
            await asyncio.shield(self._asking)
        return self._current

    async def _renew(self, asked_at: float) -> None:
        try:
            self._current = await self._ask()
            self._again_at = asked_at + (AGAIN_SECONDS if self._current is None else FRESH_SECONDS)
        finally:
            self._is_first, self._asking = False, None

    async def _ask(self) -> Mapping[str, PrivacyPlan] | None:
        answer = await self._engine.ask(PACKAGE, _QUESTION)
        if not isinstance(answer, Answered):
            return None
        if self._current is not None and self._revision == answer.revision:
            return self._current
        try:
            found = PrivacyPlans.model_validate_json(orjson.dumps(answer.document)).plans
        except ValueError:
            return None
        self._revision = answer.revision
        return found


def _retrieve(task: "asyncio.Task[None]") -> None:
    # Nobody may be left to hear of a fault; what is not known afterwards denies.
    if not task.cancelled():
        task.exception()
