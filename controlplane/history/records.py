"""Recorded decisions, read from the store in large pieces, newest first."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import orjson

from controlplane.contracts.decision import DecisionQuery
from controlplane.contracts.facts import FACTS
from controlplane.contracts.holds import HeldAction
from controlplane.decisions.logged import wanted_by
from controlplane.storage.decisions import LAST_ID, Decisions, Wanted

PIECE = 2048
_SCAN = 50_000
_ALIKE = 64
_DONORS = 8
_HELD = frozenset(get_args(HeldAction))


@dataclass(frozen=True, slots=True)
class Recorded:
    """A decision as it was recorded.

    Attributes:
        package: that decided.
        document: the whole record.
    """

    id: str
    package: str
    document: dict[str, Any]

    @property
    def facts(self) -> dict[str, Any]:
        """What it was decided on."""
        found: dict[str, Any] = self.document["facts"]
        return found

    @property
    def codes(self) -> frozenset[str]:
        """The requirements that were missing."""
        return frozenset(reason["code"] for reason in self.document["reasons"])

    @property
    def segment(self) -> str:
        """Where the subject was enrolled; ``people`` for a person, ``none`` for whom nobody knew."""
        subject = self.facts["subject"]
        if subject["type"] == "person":
            return "people"
        properties = subject.get("properties")
        # Policy may keep properties out as a whole.
        return str(properties.get("segment", "none")) if isinstance(properties, dict) else "none"

    @property
    def masked(self) -> list[str]:
        """Pointers to the facts that policy kept out; a marker stands there."""
        return list(self.document.get("masked") or ())


class DamagedRecord(Exception):  # noqa: N818 - a state, as callers see it
    """A record of the store cannot be read."""


async def recorded(store: Decisions, query: DecisionQuery, limit: int) -> AsyncIterator[list[Recorded]]:
    """Yield up to ``limit`` recorded decisions that ``query`` wants by its columns, in pieces, newest first.

    Raises:
        DamagedRecord: one cannot be read.
        StoreUnavailable: the store cannot be used.
    """
    async for rows in recorded_rows(store, query, limit):
        found = [parse(*row) for row in rows]
        piece = [one for one in found if query.action in (None, one.package, one.document["action"])]
        if piece:
            yield piece


async def recorded_rows(
    store: Decisions, query: DecisionQuery, limit: int
) -> AsyncIterator[Sequence[tuple[str, str, bytes]]]:
    """Yield what `recorded` reads, as it is kept: id, package and document of each.

    Raises:
        StoreUnavailable: the store cannot be used.
    """
    left, wanted = limit, _decided_by_policy(query)
    while left > 0:
        page = await store.page(wanted, min(PIECE, left), _SCAN)
        yield page.records
        if page.before is None:
            return
        left -= len(page.records)
        wanted = _decided_by_policy(query, page.before)


async def count(store: Decisions, query: DecisionQuery) -> int:
    """Return how many there are, by the columns alone."""
    return await store.count(_decided_by_policy(query))


def _decided_by_policy(query: DecisionQuery, before: str = LAST_ID) -> Wanted:
    """Return what is wanted of what policies decided here: what sites decided by themselves is not theirs."""
    wanted = wanted_by(query, before)
    return replace(wanted, actions=tuple(name for name in wanted.actions or tuple(FACTS) if name in FACTS))


async def allowed_alike(store: Decisions, recorded: Recorded) -> list[dict[str, Any]]:
    """Return the facts of a few requests that were allowed lately, those for the same resource first."""
    query = DecisionQuery(action=recorded.package, outcome="allow")
    page = await store.page(wanted_by(query), _ALIKE, _SCAN)
    # A marker in the place of a value is nobody's value.
    found = [one for one in (parse(*record) for record in page.records) if not one.masked]
    resource = recorded.document["resource"]
    found.sort(key=lambda one: one.document["resource"] != resource)
    return [one.facts for one in found[:_DONORS]]


def _complete(package: str, read: dict[str, Any]) -> None:
    """Add to facts of before there were holds that nothing was held, which was so."""
    # Where policy keeps all of it out, a marker stands there.
    if package in _HELD and isinstance(context := read["facts"].get("context"), dict):
        context.setdefault("holds", {"known": True, "current": {}})


def parse(identifier: str, package: str, document: bytes) -> Recorded:
    """Return a record as it was kept.

    Raises:
        DamagedRecord: it cannot be read.
    """
    try:
        read = orjson.loads(document)
        found = Recorded(identifier, package, read)
        _complete(package, read)
        # Whatever is not there is missed now, by name, and not in the middle of a report.
        _ = (read["action"], read["outcome"], read["obligations"], read["ttl_seconds"], found.codes, found.segment)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DamagedRecord(f"the record of {identifier} is damaged; restore it from a backup") from None
    return found
