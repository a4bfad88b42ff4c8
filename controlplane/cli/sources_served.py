"""What a control plane elsewhere has on record, read over its API by somebody whom its policy lets read it."""

import re
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import urlencode

from pydantic import ValidationError

from controlplane.cli.asked import Asked, Identity, Refused, Unanswered
from controlplane.contracts.base import StrictModel
from controlplane.contracts.behaviour import BehaviourState
from controlplane.contracts.decision import Decision, DecisionQuery, DecisionRecord, DecisionsFound
from controlplane.contracts.rounds import RoundQuery, RoundsFound, RoundStanding
from controlplane.contracts.standing import BehaviourFound, BehaviourStanding, StandingOrder

MAX_PAGES = 100
_PAGE = 200
_ID = re.compile(r"dec-[0-9a-f]{32}")

Model = TypeVar("Model", bound=StrictModel)


class ServedRecords:
    """Asks for each thing; policy decides, and each question is itself on record."""

    def __init__(self, asked: Asked, who: Identity) -> None:
        self._asked = asked
        self._who = who

    def is_own(self, decision: Decision) -> bool:
        """Whether a decision is on record only because it was asked for decisions here."""
        return decision.action == "decision:list" and self._who.name in ("", decision.subject)

    async def decisions(self, query: DecisionQuery, limit: int) -> tuple[list[Decision], bool]:
        """Return the newest decisions that a query wants, and whether older ones were not looked at.

        Raises:
            Unanswered: they cannot be had.
        """
        found: list[Decision] = []
        token = ""
        for _ in range(MAX_PAGES):
            stated = {"limit": min(_PAGE, limit - len(found)), **({"page_token": token} if token else {})}
            page = await self._get(DecisionsFound, "/v1/decisions", {**_given(query), **stated})
            found += page.decisions
            token = page.next_token
            if not token or len(found) >= limit:
                break
        return found, bool(token)

    async def decision(self, decision_id: str) -> DecisionRecord | None:
        """Return a decision with the facts behind it, or none.

        Raises:
            Unanswered: it cannot be had.
        """
        if not _ID.fullmatch(decision_id):
            return None
        try:
            return _read(DecisionRecord, await self._asked.get(f"/v1/decisions/{decision_id}", self._who))
        except Refused as refused:
            if refused.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    async def standings(
        self, state: BehaviourState | None, segment: str | None, order: StandingOrder, limit: int
    ) -> list[BehaviourStanding]:
        """Return how subjects stand.

        Raises:
            Unanswered: it cannot be had.
        """
        stated = {"state": state, "segment": segment, "order": order, "limit": limit}
        given = {name: value for name, value in stated.items() if value is not None}
        return (await self._get(BehaviourFound, "/v1/behaviour", given)).subjects

    async def subjects(self) -> dict[str, int] | None:
        """Return none: no route says it, and the metrics do."""
        return None

    async def rounds(self, query: RoundQuery, limit: int) -> list[RoundStanding]:
        """Return rounds in numbers, newest first.

        Raises:
            Unanswered: they cannot be had.
        """
        return (await self._get(RoundsFound, "/v1/rounds", {**_given(query), "limit": limit})).rounds

    async def _get(self, model: type[Model], path: str, given: dict[str, Any]) -> Model:
        return _read(model, await self._asked.get(f"{path}?{urlencode(given)}", self._who))


def _given(query: StrictModel) -> dict[str, Any]:
    stated = query.model_dump(exclude_none=True)
    return {name: f"{value:.6f}" if isinstance(value, float) else value for name, value in stated.items()}


def _read(model: type[Model], raw: bytes) -> Model:
    try:
        return model.model_validate_json(raw)
    except ValidationError:
        raise Unanswered(f"an answer is no {model.__name__}: compare the versions of both sides") from None
