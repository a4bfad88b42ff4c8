"""Where commands that look read: the store of this machine, or a control plane elsewhere over its API."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Protocol

import typer

from controlplane.cli.asked import Asked, Identity, Unanswered, enrolled, nobody, token_in
from controlplane.cli.sources_served import ServedRecords
from controlplane.cli.sources_stored import StoredRecords
from controlplane.cli.stores import existing_store
from controlplane.contracts.behaviour import BehaviourState
from controlplane.contracts.decision import Decision, DecisionQuery, DecisionRecord
from controlplane.contracts.rounds import RoundQuery, RoundStanding
from controlplane.contracts.standing import BehaviourStanding, StandingOrder
from controlplane.settings import Settings

Url = Annotated[str | None, typer.Option(help="Where the control plane answers; this machine's unless told otherwise.")]
Key = Annotated[
    Path | None, typer.Option(help="Folder of an enrolled operator: read over the API, not from this machine's store.")
]
TokenFile = Annotated[Path | None, typer.Option(help="The same, with a person's token of their identity provider.")]
StateDir = Annotated[Path | None, typer.Option(help="The control plane's state folder.")]


@dataclass(frozen=True)
class Where:
    """What the command line says of where to look."""

    settings: Settings
    url: str | None = None
    key: Path | None = None
    token_file: Path | None = None


class Records(Protocol):
    """What a control plane has on record."""

    def is_own(self, decision: Decision) -> bool:
        """Whether a decision is on record only because it was asked for decisions here."""
        ...

    async def decisions(self, query: DecisionQuery, limit: int) -> tuple[list[Decision], bool]:
        """Return the newest decisions that a query wants, and whether older ones were not looked at."""
        ...

    async def decision(self, decision_id: str) -> DecisionRecord | None:
        """Return a decision with the facts behind it, or none."""
        ...

    async def standings(
        self, state: BehaviourState | None, segment: str | None, order: StandingOrder, limit: int
    ) -> list[BehaviourStanding]:
        """Return how subjects stand."""
        ...

    async def subjects(self) -> dict[str, int] | None:
        """Return how many subjects stand where; none where only the metrics say, once a minute."""
        ...

    async def rounds(self, query: RoundQuery, limit: int) -> list[RoundStanding]:
        """Return rounds in numbers, newest first."""
        ...


class Source:
    """A control plane to look at: what it says of itself now, and what it has on record.

    Args:
        asked: where it answers.
        records: what it has on record.
        who: may read its metrics.
        place: for people.
    """

    def __init__(self, asked: Asked, records: Records, who: Identity, place: str) -> None:
        self._asked = asked
        self._who = who
        self.records = records
        self.place = place

    async def metrics(self) -> str:
        """Return the exposition.

        Raises:
            Unanswered: it cannot be had.
        """
        return (await self._asked.get("/metrics", self._who)).decode(errors="replace")

    async def readiness(self) -> dict[str, Any]:
        """Return what ``/readyz`` says, ready or not.

        Raises:
            Unanswered: it cannot be had.
        """
        welcome = (HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE)
        raw = await self._asked.get("/readyz", nobody(), welcome)
        try:
            found = json.loads(raw)
        except ValueError:
            found = None
        if not isinstance(found, dict) or not isinstance(found.get("checks"), dict):
            raise Unanswered(f"{self._asked.url} is no control plane: its /readyz says something else")
        return found


@asynccontextmanager
async def opened(where: Where) -> AsyncIterator[Source]:
    """Open a control plane to look at: over its API where a key or token is named, else through its store.

    Raises:
        Unanswered: what the command line names cannot be used.
        StoreError, OSError: the store cannot be opened.
    """
    who = identity(where)
    if who is not None:
        url = where.url or who.url or where.settings.resolved_public_url
        asked = Asked(url)
        try:
            yield Source(asked, ServedRecords(asked, who), who, url)
        finally:
            await asked.close()
        return
    asked = Asked(where.url or where.settings.resolved_public_url)
    try:
        async with existing_store(where.settings) as store:
            metrics = token_in(where.settings.resolved_metrics_token_file)
            yield Source(asked, StoredRecords(store), metrics, asked.url)
    finally:
        await asked.close()


@asynccontextmanager
async def opened_records(where: Where) -> AsyncIterator[Records]:
    """Open what a control plane has on record, whether or not it answers; over its API where a key or token is named.

    Raises:
        Unanswered, StoreError, OSError: as `opened`.
    """
    if identity(where) is not None:
        async with opened(where) as source:
            yield source.records
        return
    async with existing_store(where.settings) as store:
        yield StoredRecords(store)


def identity(where: Where) -> Identity | None:
    """Return who asks over the API; none where this machine's store is read.

    Raises:
        Unanswered: both a key and a token are named, or what is named cannot be used.
    """
    if where.key is not None and where.token_file is not None:
        raise Unanswered("name one who asks: --key or --token-file")
    if where.key is not None:
        return enrolled(where.key)
    return token_in(where.token_file) if where.token_file is not None else None
