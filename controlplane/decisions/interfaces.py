"""What a response to behaviour needs of others."""

from collections.abc import Collection, Sequence
from typing import Protocol

from controlplane.contracts.behaviour import Channel
from controlplane.contracts.observed import Kept, Observed, Tell
from controlplane.contracts.rollback import Contribution
from controlplane.decisions.behaviour_terms import InForce
from controlplane.decisions.responses import Response
from controlplane.identity.registry import Keep
from controlplane.storage.behaviour import Recorded
from controlplane.storage.undoing import Ordered, Undoing


class Terms(Protocol):
    """Says by which terms behaviour is judged; `decisions.behaviour_terms` does."""

    async def in_force(self) -> InForce | None:
        """Return them; none while policy does not say."""
        ...


class Records(Protocol):
    """What is kept of behaviour; `storage.behaviour` does."""

    async def kept(self, subjects: Collection[str]) -> dict[str, Kept]:
        """Return what is kept of subjects, by name; who is not registered is absent."""
        ...

    async def record(
        self,
        observed: Sequence[Observed],
        contributions: Sequence[Contribution],
        tell: Tell,
        orders: Sequence[Undoing],
    ) -> Recorded:
        """Keep it in one transaction, except for who was changed meanwhile, and return these."""
        ...


class Scores(Protocol):
    """Earlier observations; `storage.observations` has them."""

    async def recent(
        self, channel: Channel, peers: str, rounds: int | None = None, *, apart_from: str = ""
    ) -> list[tuple[str, float]]:
        """Return subjects and scores of a class's latest observations."""
        ...


class Contributed(Protocol):
    """Who contributed to which model; `storage.contributions` knows."""

    async def rounds_of(self, subjects: Collection[str]) -> dict[str, dict[str, int]]:
        """Return to how many rounds subjects contributed, by subject and model."""
        ...


class Registry(Protocol):
    """Tells everybody what becomes of subjects; `identity.registry` does."""

    async def record_behaviour(
        self, observed: Sequence[Observed], contributions: Sequence[Contribution], keep: Keep
    ) -> frozenset[str]:
        """Have it kept in one transaction with the notice of it, except for who was changed meanwhile: return these."""
        ...


class Orders(Protocol):
    """Has contributions undone; `decisions.rollbacks` does."""

    def undoing(self, subject: str, model: str, rounds: int, decision_id: str) -> Undoing:
        """Return the order that a subject's updates to a model's latest rounds be undone."""
        ...

    def committed(self, wanted: Sequence[Undoing], given: Sequence[tuple[Ordered, ...]]) -> None:
        """Hear what became of orders, once that is certain."""
        ...


class ResponseObserver(Protocol):
    """Counts responses."""

    def responded(self, response: Response) -> None:
        """One was kept."""
        ...
