"""Who vouches for the weights that are asked for, as decisions see it: looked up in the store, kept for a second."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from controlplane.contracts.models import ModelVersion
from controlplane.contracts.rounds import Round
from controlplane.storage.lookups import Coalesced

FRESH_SECONDS = 1.0
"""A version that is withdrawn anywhere is handed out nowhere after so long."""


class ModelStore(Protocol):
    """Keeps versions; `storage.models` does."""

    async def standing_for(self, model: str, digest: str) -> ModelVersion | None:
        """Return the latest version, not withdrawn, that a digest stands for, or none."""
        ...

    async def base_of(self, round_id: str) -> ModelVersion | None:
        """Return the version, not withdrawn, that led to a round's model, or none."""
        ...

    async def began(self, opened: Round, before: str | None) -> None:
        """Keep with which version a round began."""
        ...


class RoundsBefore(Protocol):
    """Knows rounds in their order; `storage.rounds` does."""

    async def before(self, opened: Round) -> Round | None:
        """Return the round of the same model and aggregator before one, or none."""
        ...


_Asked = tuple[str, str | None, str | None]
"""A model, and the digest and round of the weights that are asked for, where they are named."""


@dataclass(frozen=True, slots=True)
class _Known:
    fact: dict[str, Any]
    until: float


class ModelBook:
    """Looks versions up for decisions.

    Args:
        store: keeps them.
        rounds: in their order.
        clock: Unix seconds.
        capacity: answers that are kept.
    """

    def __init__(
        self, store: ModelStore, rounds: RoundsBefore, clock: Callable[[], float], *, capacity: int = 1024
    ) -> None:
        self._store = store
        self._rounds = rounds
        self._clock = clock
        self._capacity = capacity
        self._known: OrderedDict[_Asked, _Known] = OrderedDict()
        # When an answer grows old, all who ask for the same at that moment share one look.
        self._looks: Coalesced[_Asked, dict[str, Any]] = Coalesced(self._look)

    async def began(self, opened: Round) -> None:
        """Keep with which signed version a round began that was opened just now.

        Raises:
            StoreUnavailable: it cannot be kept; the round counts as one that began with none.
        """
        before = await self._rounds.before(opened)
        await self._store.began(opened, None if before is None else before.id)
        for key in [key for key in self._known if key[2] == opened.id]:
            del self._known[key]

    async def facts(self, model: str, digest: str | None, round_id: str | None) -> dict[str, Any]:
        """Return the `IntegrityFact` of weights; an empty one where nobody vouches for them.

        Args:
            model: the model that is asked for.
            digest: of the weights, where it is named.
            round_id: of the round that they are pulled for, or none.

        Raises:
            StoreUnavailable: it cannot be looked up.
        """
        asked, now = (model, digest, round_id), self._clock()
        known = self._known.get(asked)
        if known is not None and 0.0 <= known.until - now <= FRESH_SECONDS:
            return known.fact
        return await self._looks.get(asked) or {}

    async def _look(self, asked: Sequence[_Asked]) -> dict[_Asked, dict[str, Any]]:
        until = self._clock() + FRESH_SECONDS
        found = {one: await self._find(*one) for one in asked}
        for one, fact in found.items():
            self._known.pop(one, None)
            while len(self._known) >= self._capacity:
                self._known.popitem(last=False)
            self._known[one] = _Known(fact, until)
        return found

    async def _find(self, model: str, digest: str | None, round_id: str | None) -> dict[str, Any]:
        release = await self._store.standing_for(model, digest) if digest is not None else None
        base = await self._store.base_of(round_id) if round_id is not None else None
        # A round's base is of the round's model: asked about another one, it says nothing.
        found = {"release": release, "base": base if base is not None and base.model == model else None}
        return {name: _fact(version) for name, version in found.items() if version is not None}


def _fact(version: ModelVersion) -> dict[str, Any]:
    return {"signer": version.signer, "registered_at": version.registered_at}
