"""What behaviour made of devices: their records, their trust, and whether they are set apart."""

import json
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    Double,
    Integer,
    Row,
    String,
    bindparam,
    case,
    func,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from controlplane.contracts.behaviour import BehaviourRecord, BehaviourState
from controlplane.contracts.events import Notice
from controlplane.contracts.identity import Trust
from controlplane.contracts.observed import Kept, Observed, Tell
from controlplane.contracts.rollback import Contribution
from controlplane.contracts.standing import MAX_STANDINGS, BehaviourStanding, StandingOrder
from controlplane.contracts.trusthistory import TrustHistory
from controlplane.storage.contributions import add_contributions
from controlplane.storage.database import Database
from controlplane.storage.observations import add_scores, add_verdicts
from controlplane.storage.revocations import write_notice
from controlplane.storage.tables import devices
from controlplane.storage.tables_behaviour import behaviour
from controlplane.storage.undoing import Ordered, Undoing, give_orders

_DEVICES = (
    update(devices)
    .where(devices.c.id == bindparam("device"))
    .values(
        trust_score=bindparam("score", type_=Double),
        trust_observations=bindparam("seen", type_=Integer),
        trust_history=bindparam("history", type_=String),
        status=case(
            ((bindparam("becomes", type_=String) == "quarantined") & (devices.c.status == "active"), "quarantined"),
            ((bindparam("becomes", type_=String) == "active") & (devices.c.status == "quarantined"), "active"),
            else_=devices.c.status,
        ),
    )
)

_FIELDS = {
    "subject": "text",
    "state": "text",
    "since": "double precision",
    "wealth": "text",
    "e_value": "double precision",
    "conforming": "double precision",
    "deviating": "double precision",
    "observed_at": "double precision",
    "version": "integer",
}
_READ = ", ".join(f"json_extract(value, '$.{name}') AS {name}" for name in _FIELDS)
_TYPED = ", ".join(f"{name} {kind}" for name, kind in _FIELDS.items())
_SOURCE = {
    "sqlite": "SELECT READ FROM json_each(:given)".replace("READ", _READ),
    "postgresql": "SELECT * FROM json_to_recordset(CAST(:given AS json)) AS given(TYPED)".replace("TYPED", _TYPED),
}
_FRESH = {"since": 0.0, "wealth": "{}", "e_value": 1.0, "conforming": 0.0, "deviating": 0.0, "observed_at": 0.0}
"""Of a subject of which nothing was observed; what was kept of one before is gone."""

# One order of rows for everybody: two replicas that write the same ones cannot wait for one another in a ring.
_RECORDS = """
    INSERT INTO behaviour (FIELDS)
    SELECT FIELDS FROM (SOURCE) AS wanted
    WHERE version = 1 OR EXISTS (SELECT 1 FROM behaviour AS kept WHERE kept.subject = wanted.subject)
    ORDER BY subject
    ON CONFLICT (subject) DO UPDATE SET CHANGES WHERE behaviour.version = excluded.version - 1
    RETURNING subject
"""


class Recorded(NamedTuple):
    """What became of responses that were to be kept.

    Attributes:
        stale: the subjects of which something else is kept by now than was read. Of them nothing was written.
        orders: what became of each order that was asked for, by aggregator; nothing where there is nothing to undo, or
            its subject is stale.
    """

    stale: frozenset[str]
    orders: Sequence[tuple[Ordered, ...]] = ()


class Behaviour:
    """The table of records, with the trust and the status that follow from them in the table of devices."""

    def __init__(self, database: Database) -> None:
        self._database = database
        names, changes = ", ".join(_FIELDS), ", ".join(f"{name} = excluded.{name}" for name in _FIELDS)
        statement = _RECORDS.replace("FIELDS", names).replace("CHANGES", changes)
        self._records = text(statement.replace("SOURCE", _SOURCE[database.kind]))

    async def kept(self, subjects: Collection[str]) -> dict[str, Kept]:
        """Return what is kept of subjects, by name; who is not registered is absent.

        Raises:
            StoreUnavailable: the store failed, or a record is nothing that we write.
        """
        query = select(devices.c.id, devices.c.status, devices.c.trust_score, devices.c.trust_observations, behaviour)
        query = query.outerjoin(behaviour, devices.c.id == behaviour.c.subject).where(devices.c.id.in_(subjects))
        what = "look up behaviour"
        rows = await self._database.read(what, query)
        with self._database.understanding(what):
            return {row.id: _kept(row) for row in rows}

    async def apply(
        self, observed: Sequence[Observed], contributions: Sequence[Contribution] = (), tell: Tell | None = None
    ) -> frozenset[str]:
        """Keep what observations made of their subjects, as `record` does, and undo nothing; return who is stale."""
        return (await self.record(observed, contributions, tell)).stale

    async def record(
        self,
        observed: Sequence[Observed],
        contributions: Sequence[Contribution] = (),
        tell: Tell | None = None,
        orders: Sequence[Undoing] = (),
    ) -> Recorded:
        """Keep what observations made of their subjects and what they contributed, give orders, and write a notice.

        All of it is one transaction, and a revoked device stays revoked. Of whom something else is kept by now than was
        read, nothing is written, and what is written of the others does not wait for it: whoever changes one subject
        again and again must not keep all from being written.

        Args:
            observed: each subject once.
            contributions: updates that were admitted.
            tell: returns the notice of those who are kept, which is written with it; none for no notice.
            orders: to undo what some contributed, these contributions too. One that does not fit, because too many
                wait already, keeps nothing else from being written.

        Raises:
            StoreUnavailable: the store failed, or an order that is outstanding is nothing that we write; nothing of
                all this was written.
        """
        if not observed:
            return Recorded(frozenset(), [()] * len(orders))
        begun = time.monotonic()
        ordered = sorted(observed, key=lambda one: one.subject)
        names = [one.subject for one in ordered]
        given = json.dumps([_values(one) for one in ordered], allow_nan=False)
        # Whoever changes a device's status locks the device first, then its record: so must this.
        lock = (
            select(devices.c.id, devices.c.trust_score, devices.c.trust_history)
            .where(devices.c.id.in_(names))
            .order_by(devices.c.id)
            .with_for_update(key_share=True)
        )

        async def _record(connection: AsyncConnection) -> Recorded:
            rows = await connection.execute(lock)
            histories = {row.id: TrustHistory.read(row.trust_history, row.trust_score) for row in rows}
            written = frozenset((await connection.execute(self._records, {"given": given})).scalars().all())
            stale = frozenset(names) - written
            if not written:
                return Recorded(stale, [()] * len(orders))
            kept = [one for one in ordered if one.subject in written]
            await connection.execute(_DEVICES, [_changes(one, histories[one.subject]) for one in kept])
            await add_scores(connection, kept)
            await add_verdicts(connection, kept)
            await add_contributions(connection, [one for one in contributions if one.subject not in stale])
            # Subjects, then models, then the turn of events: whoever locks several of these does so in this order.
            due = [place for place, one in enumerate(orders) if one.subject not in stale]
            with self._database.understanding("order a rollback"):
                became = dict(zip(due, await give_orders(connection, [orders[place] for place in due]), strict=True))
            await write_notice(connection, tell(written) if tell else Notice(), begun)
            return Recorded(stale, [became.get(place, ()) for place in range(len(orders))])

        return await self._database.write("keep what behaviour found", _record)

    async def standings(
        self,
        state: BehaviourState | None = None,
        limit: int = 50,
        *,
        segment: str | None = None,
        order: StandingOrder = "evidence",
    ) -> list[BehaviourStanding]:
        """Return up to ``limit`` subjects that were observed.

        Args:
            state: those in it alone.
            limit: at most 200.
            segment: those that live there alone.
            order: by the evidence against them, most first; or by trust, least first and without those that are
                revoked, whose trust matters no more.
        """
        ranks = {"evidence": behaviour.c.e_value.desc(), "trust": devices.c.trust_score}
        wanted = _standing_of().order_by(ranks[order], behaviour.c.subject)
        if order == "trust":
            wanted = wanted.where(devices.c.status != "revoked")
        if state is not None:
            wanted = wanted.where(behaviour.c.state == state)
        if segment is not None:
            wanted = wanted.where(devices.c.segment == segment)
        return await self._standings(wanted.limit(min(max(limit, 1), MAX_STANDINGS)))

    async def set_apart(self, limit: int) -> list[str]:
        """Return up to ``limit`` subjects that policy has set apart, the one that is so for longest first."""
        is_apart = (behaviour.c.state == "quarantined") & (devices.c.status == "quarantined")
        query = select(behaviour.c.subject).join(devices, devices.c.id == behaviour.c.subject).where(is_apart)
        ordered = query.order_by(behaviour.c.since, behaviour.c.subject).limit(limit)
        return [row.subject for row in await self._database.read("look who is set apart", ordered)]

    async def counts(self) -> dict[str, int]:
        """Return how many subjects are in each state; a state without any is absent."""
        query = select(behaviour.c.state, func.count().label("many")).group_by(behaviour.c.state)
        return {row.state: row.many for row in await self._database.read("count behaviour", query)}

    async def least_trusted(self, limit: int) -> list[float]:
        """Return the lowest trust scores of active devices that were observed, the lowest first."""
        query = select(devices.c.trust_score).where(devices.c.status == "active", devices.c.trust_observations > 0)
        query = query.order_by(devices.c.trust_score).limit(limit)
        return [row.trust_score for row in await self._database.read("look up trust", query)]

    async def _standings(self, query: Any) -> list[BehaviourStanding]:
        what = "look up behaviour"
        rows = await self._database.read(what, query)
        with self._database.understanding(what):
            return [_standing(row) for row in rows]


async def renew(connection: AsyncConnection, subject: str) -> None:
    """Begin a subject's record anew, within a transaction: a person let it back."""
    await _set_state(connection, subject, {"state": "watched", **_FRESH})


async def hold(connection: AsyncConnection, subject: str) -> None:
    """Have a subject set apart by a person, within a transaction: no longer by policy, which would let it back.

    What is known of it stays.
    """
    is_by_policy = behaviour.c.state == "quarantined"
    await _set_state(connection, subject, {"state": case((is_by_policy, "watched"), else_=behaviour.c.state)})


async def _set_state(connection: AsyncConnection, subject: str, changes: Mapping[str, Any]) -> None:
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(behaviour).values(subject=subject, state="watched", version=1, **_FRESH)
    # Whoever judges at the same time has read another version, and looks again.
    changed = {**changes, "version": behaviour.c.version + 1}
    await connection.execute(statement.on_conflict_do_update(index_elements=["subject"], set_=changed))


def _values(one: Observed) -> dict[str, Any]:
    return {
        **one.record.model_dump(),
        "subject": one.subject,
        "wealth": json.dumps({name: wealth.model_dump() for name, wealth in one.record.wealth.items()}),
        "e_value": one.e_value,
        "version": one.version + 1,
    }


def _changes(one: Observed, known: TrustHistory | None) -> dict[str, Any]:
    # Where time alone has passed, nothing was observed, and where the subject stands has changed.
    now = max(one.record.observed_at, one.record.since)
    history = known.after(one.trust.score, now) if known else TrustHistory.of(one.trust.score, now)
    return {
        "device": one.subject,
        "score": one.trust.score,
        "seen": one.trust.observations,
        "history": history.model_dump_json(),
        "becomes": one.status or "",
    }


def _kept(row: Row[Any]) -> Kept:
    return Kept(
        status=row.status,
        trust=Trust(score=row.trust_score, observations=row.trust_observations),
        record=_record(row),
        e_value=1.0 if row.subject is None else row.e_value,
        version=row.version or 0,
    )


def _record(row: Row[Any]) -> BehaviourRecord | None:
    if row.subject is None or not (row.conforming or row.deviating):
        return None
    stated = {name: row._mapping[name] for name in BehaviourRecord.model_fields}
    return BehaviourRecord.model_validate({**stated, "wealth": json.loads(row.wealth)})


def _standing_of() -> Any:
    known = (devices.c.segment, devices.c.status, devices.c.trust_score, devices.c.trust_observations)
    return select(behaviour, *known).join(devices, devices.c.id == behaviour.c.subject)


def _standing(row: Row[Any]) -> BehaviourStanding:
    return BehaviourStanding(
        subject=row.subject,
        segment=row.segment,
        status=row.status,
        held=row.status == "quarantined" and row.state != "quarantined",
        state=row.state,
        since=row.since or None,
        e_value=row.e_value,
        trust=Trust(score=row.trust_score, observations=row.trust_observations),
        observed_at=row.observed_at or None,
    )
