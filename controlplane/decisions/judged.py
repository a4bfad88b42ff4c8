"""What became of each update of a round, or of each that a device sent, by the records of decisions and verdicts."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from controlplane.audit.reading import read_record
from controlplane.contracts.behaviour import BehaviourFact, Verdict
from controlplane.contracts.decision import DecisionRecord
from controlplane.contracts.evidence import UpdateEvidence
from controlplane.contracts.identity import Trust
from controlplane.contracts.judged import MAX_JUDGED, Dropped, JudgedUpdate, RoundDetail
from controlplane.contracts.rollback import Contribution
from controlplane.contracts.rounds import RoundStanding
from controlplane.decisions.ids import first_id
from controlplane.storage.judged import LAST_TIME, Submitted

LATE_SECONDS = 3600.0
"""For so long after a round has closed, decisions on updates that came late are looked for."""

_PREFIX = "dec"
_Key = tuple[str, str]
Model = TypeVar("Model", bound=BaseModel)


class JudgedStore(Protocol):
    """Knows what came to rounds; `storage.judged` does."""

    async def of_round(self, round_id: str, after: str, limit: int) -> list[Submitted]:
        """Return what came to a round, in order of subject."""
        ...

    async def of_subject(self, subject: str, limit: int) -> list[Submitted]:
        """Return what a subject sent to its latest rounds, newest first."""
        ...

    async def verdicts(self, subjects: Collection[str], since: float, until: float) -> list[Verdict]:
        """Return the remarkable verdicts on updates of subjects within a time, newest first."""
        ...

    async def refused(self, subjects: Collection[str], floor: str, ceiling: str) -> list[tuple[str, bytes]]:
        """Return the refusals of subjects' updates between two ids, newest first."""
        ...


class RoundStore(Protocol):
    """Knows rounds; `storage.rounds` does."""

    async def standing(self, round_id: str, now: float) -> RoundStanding | None:
        """Return a round in numbers, or none."""
        ...

    async def submitted(self, round_id: str) -> dict[str, int]:
        """Return how many updates came to a round with a capability that held, by subject."""
        ...


class Contributed(Protocol):
    """Knows what went into models; `storage.contributions` does."""

    async def of_round(self, round_id: str) -> list[Contribution]:
        """Return the contributions to a round, by subject."""
        ...


class Documents(Protocol):
    """Keeps records of decisions; `storage.decisions` does."""

    async def documents(self, names: Sequence[str]) -> dict[str, bytes]:
        """Return the records of those decisions that there are."""
        ...


class Judgements:
    """Looks up what became of updates.

    Args:
        store: knows what came to rounds.
        rounds: knows rounds.
        contributed: knows what went into models.
        records: keeps decisions.
    """

    def __init__(self, store: JudgedStore, rounds: RoundStore, contributed: Contributed, records: Documents) -> None:
        self._store, self._rounds, self._contributed = store, rounds, contributed
        self._records = records

    async def detail(self, round_id: str, now: float) -> RoundDetail | None:
        """Return a round at ``now`` (Unix seconds), and what came of its updates; none where there is no such round.

        Raises:
            StoreUnavailable: the store failed.
        """
        found = await self._rounds.standing(round_id, now)
        if found is None:
            return None
        accepted, submitted = await asyncio.gather(
            self._contributed.of_round(round_id), self._rounds.submitted(round_id)
        )
        admitted = {one.subject for one in accepted}
        left = {name: many - (name in admitted) for name, many in submitted.items()}
        dropped = [Dropped(subject=name, updates=many) for name, many in left.items() if many > 0]
        return RoundDetail(round=found, accepted=accepted, dropped=dropped)

    async def of_round(self, round_id: str, after: str = "", limit: int = MAX_JUDGED) -> list[JudgedUpdate]:
        """Return what became of the updates of a round, in order of subject, of those that come after one.

        Raises:
            AuditUnavailable: a record is damaged.
            StoreUnavailable: the store failed.
        """
        return await self._judged(await self._store.of_round(round_id, after, limit))

    async def of_subject(self, subject: str, limit: int) -> list[JudgedUpdate]:
        """Return what became of a subject's updates to its latest rounds, newest first.

        Raises:
            AuditUnavailable, StoreUnavailable: as `of_round`.
        """
        return await self._judged(await self._store.of_subject(subject, limit))

    async def _judged(self, found: Sequence[Submitted]) -> list[JudgedUpdate]:
        if not found:
            return []
        subjects = {one.subject for one in found}
        since = min(one.opens_at for one in found)
        until = min(LAST_TIME, max(one.closes_at for one in found) + LATE_SECONDS)
        records, verdicts = await asyncio.gather(
            self._records_of(found), self._store.verdicts(subjects, since - LATE_SECONDS, until)
        )
        # Of a round's verdicts on a subject the newest comes first, and is the one that stands.
        said = {(str(one.round_id), one.subject): one for one in reversed(verdicts)}
        return [_update(one, records.get(_key(one)), said.get(_key(one))) for one in found]

    async def _records_of(self, found: Sequence[Submitted]) -> dict[_Key, DecisionRecord]:
        admitted = [one.decision_id for one in found if one.decision_id is not None]
        documents = list((await self._records.documents(admitted)).items())
        dropped = [one for one in found if one.decision_id is None]
        if dropped:
            documents += await self._refusals(dropped)
        records: dict[_Key, DecisionRecord] = {}
        for name, document in documents:
            record = read_record(name, document)
            round_id = _round_of(record)
            if round_id is not None:
                records.setdefault((round_id, record.subject), record)
        return records

    async def _refusals(self, dropped: Sequence[Submitted]) -> list[tuple[str, bytes]]:
        begins = {one.opens_at for one in dropped}
        if len(begins) == 1:
            return await self._between({one.subject for one in dropped}, dropped[0])
        # One look a round: what lies between two that are weeks apart is not gone through.
        looks = [self._between({one.subject}, one) for one in dropped]
        return [one for some in await asyncio.gather(*looks) for one in some]

    async def _between(self, subjects: Collection[str], one: Submitted) -> list[tuple[str, bytes]]:
        ends = first_id(_PREFIX, one.closes_at + LATE_SECONDS)
        return await self._store.refused(subjects, first_id(_PREFIX, one.opens_at), ends)


def _key(one: Submitted) -> _Key:
    return one.round_id, one.subject


def _round_of(record: DecisionRecord) -> str | None:
    """Return the round of a decision on an update that arrived; none of one on asking for a capability."""
    context = _part(record.facts, "context")
    name = _part(context, "round").get("id")
    return name if context.get("phase") == "admit" and isinstance(name, str) else None


def _update(one: Submitted, record: DecisionRecord | None, verdict: Verdict | None) -> JudgedUpdate:
    known: dict[str, Any] = {"round_id": one.round_id, "subject": one.subject, "submitted": one.uses}
    if record is not None:
        known |= _decided(record)
    elif one.decision_id is not None:
        known |= {"outcome": "allow", "decision_id": one.decision_id}
    if verdict is not None:
        said = {"state": verdict.state, "p_value": verdict.p_value, "e_value": verdict.e_value, "trust": verdict.trust}
        known |= {name: value for name, value in said.items() if value is not None}
        known["attribution"] = verdict.attribution
    return JudgedUpdate(**known)


def _decided(record: DecisionRecord) -> dict[str, Any]:
    context = _part(record.facts, "context")
    behaviour = _read(BehaviourFact, context.get("behaviour"))
    evidence = _read(UpdateEvidence, context.get("evidence"))
    trust = _read(Trust, _trusted(record))
    return {
        "outcome": record.outcome,
        "decision_id": record.id,
        "time": record.time,
        "reasons": record.reasons,
        "clip_norm_ratio": record.obligations.clip_norm_ratio if record.allowed else None,
        "state": behaviour.state if behaviour else None,
        "p_value": behaviour.p_value if behaviour else None,
        "e_value": behaviour.e_value if behaviour else None,
        "trust": trust.score if trust else None,
        "evidence": evidence,
    }


def _trusted(record: DecisionRecord) -> dict[str, Any]:
    known = _part(_part(_part(record.facts, "subject"), "properties"), "trust")
    return {name: known[name] for name in Trust.model_fields if name in known}


def _part(whole: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = whole.get(name)
    return found if isinstance(found, dict) else {}


def _read(model: type[Model], stated: object) -> Model | None:
    """Return what a record states; none where a value was left out of it, or it is of another version."""
    try:
        return model.model_validate(stated)
    except ValidationError:
        return None
