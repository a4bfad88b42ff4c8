"""Answer a proxy's question whether a request may go on, and say what the upstream is told of it."""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from adapters.gateway.interfaces import Budgets, Exhausted
from adapters.gateway.passing import NOTHING_TOLD, told
from adapters.web.admission import Admitted, Exempt
from adapters.web.answering import Refusal, forbidden
from adapters.web.point import EnforcementPoint
from adapters.web.presented import Asked, body_bytes
from controlplane.contracts.capability import Constraints

Kept = Literal["max_output_tokens", "detail", "max_bytes"]
"""A limit that an upstream may be told of, and keep."""

_VERIFIED: Final = frozenset({"round_id", "model_digest", "purpose", "one_time", "segment", "shards", "sealed_to"})
"""Limits that the enforcement point compares by itself."""

_UNBOUNDED_TOKENS: Final = 1_000_000
"""Taken for an answer without a limit."""

_log = logging.getLogger("ztfm.authorizer")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a proxy is answered.

    Attributes:
        status: 200 lets the request on; anything else is for the client.
        headers: for the upstream with a 200, else for the client.
        body: for the client.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def is_allowed(self) -> bool:
        """Whether the request may go on."""
        return self.status == 200


class Authorizer:
    """Decides for a proxy by the capability that a request shows.

    Args:
        point: verifies capabilities. Started and closed by whoever made it.
        keeps: limits that the upstream keeps by the headers that it is sent. A capability with any other limit that
            nobody here can keep is refused.
        budgets: from which each inference is taken whole before it goes on: one request, its bytes (body and query) as
            prompt tokens, and the most that its answer may have. Nobody here sees an answer, so nothing is given back.
            None counts nothing.
    """

    def __init__(
        self, point: EnforcementPoint, *, keeps: Collection[Kept] = (), budgets: Budgets | None = None
    ) -> None:
        self._point = point
        self._keeps = frozenset(keeps)
        self._budgets = budgets

    async def authorize(self, asked: Asked | Refusal) -> Answer:
        """Return what becomes of a request, or of one that no request could be read from. Never raises."""
        try:
            return await self._decide(asked)
        except Exception:  # noqa: BLE001 - logged, and answered with nothing that lets a request on
            _log.exception("no decision could be made; the request is refused")
            return _refused(_undecided())

    async def _decide(self, asked: Asked | Refusal) -> Answer:
        if isinstance(asked, Refusal):
            _log.warning("refused what the proxy sent: %d, %s", asked.status, asked.cause)
            return _refused(asked)
        verdict = await self._point.check(asked, lambda admitted: self._further(asked, admitted))
        if isinstance(verdict, Refusal):
            return _refused(verdict)
        return Answer(200, NOTHING_TOLD if isinstance(verdict, Exempt) else told(verdict))

    async def _further(self, asked: Asked, admitted: Admitted) -> Refusal | None:
        """Return why a request may not go on that the point would let through. Never raises."""
        unkept = self._unkept(admitted)
        if unkept:
            _log.warning("refused: nobody here keeps the limits %s", ", ".join(unkept))
            return _unkeepable(unkept, takes_certificates=self._point.takes_certificates)
        try:
            return await self._reserve(asked, admitted)
        except Exception:  # noqa: BLE001 - logged, and answered with nothing that lets a request on
            _log.exception("no budget could be asked; the request is refused")
            return _undecided()

    def _unkept(self, admitted: Admitted) -> list[str]:
        """Return the limits of a capability that neither the point nor the upstream keeps."""
        limits = admitted.limits
        # By identity: a limit of 0 equals False, and is one.
        stated = {name for name in Constraints.model_fields if not _is_none(getattr(limits, name))}
        if admitted.rule.action == "inference":
            # One that does not say how much detail may be shown allows the label alone.
            stated = stated - {"detail"} if admitted.shows_detail else stated | {"detail"}
        if admitted.rule.action == "gradient_submission":
            # That of what is submitted was compared with the length of the body.
            stated.discard("max_bytes")
        return sorted(stated - _VERIFIED - self._keeps)

    async def _reserve(self, asked: Asked, admitted: Admitted) -> Refusal | None:
        if self._budgets is None or admitted.rule.action != "inference":
            return None
        output = admitted.limits.max_output_tokens
        if output is None:
            output = _UNBOUNDED_TOKENS
        # No token is shorter than a byte.
        taken = await self._budgets.reserve(admitted, (body_bytes(asked) or 0) + asked.query_bytes, output)
        if isinstance(taken, Exhausted):
            return _exhausted(taken)
        await self._budgets.settle(taken, taken.tokens)
        return None


def _is_none(limit: object) -> bool:
    return limit is None or limit is False


def _refused(refusal: Refusal) -> Answer:
    return Answer(refusal.status, refusal.all_headers(), refusal.body)


def _unkeepable(limits: Collection[str], *, takes_certificates: bool) -> Refusal:
    detail = f"The capability has limits that nothing at this endpoint keeps: {', '.join(limits)}."
    return forbidden("limit_not_kept", detail, takes_certificates=takes_certificates)


def _exhausted(short: Exhausted) -> Refusal:
    if short.of == "unknown":
        return _undecided()
    return Refusal(
        429,
        "budget-exhausted",
        "A budget is used up",
        f"The budget of the {short.of} does not reach for this request; ask again later.",
        "budget",
        {"Retry-After": str(max(1, round(short.retry_after)))},
    )


def _undecided() -> Refusal:
    title, detail = "No decision can be given now", "The gateway could not decide; ask again in a moment."
    return Refusal(503, "unavailable", title, detail, "undecided", {"Retry-After": "1"})
