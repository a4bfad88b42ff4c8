"""Who vouches for weights, as decisions see it: a second old at most, bounded, and by no caller's word."""

from typing import Any

import pytest

from controlplane.contracts.access import AccessRequest
from controlplane.contracts.models import ModelVersion
from controlplane.contracts.rounds import Round
from controlplane.decisions.gathering import Gatherer
from controlplane.decisions.models import ModelBook
from controlplane.storage import StoreUnavailable

DIGEST = "sha256:" + "1" * 64
FACT = {"signer": "example-lab", "registered_at": 7.0}


def version(model: str = "m") -> ModelVersion:
    return ModelVersion(
        model=model,
        id="sha256:" + "2" * 64,
        name=model,
        root="sha256:" + "3" * 64,
        signer="example-lab",
        files=1,
        registered_at=7.0,
        registered_by="dev-a",
        state="registered",
    )


class Versions:
    """Stands for the store: what it holds, and how often it was asked."""

    def __init__(self) -> None:
        self.known: dict[str, ModelVersion] = {}
        self.bases: dict[str, ModelVersion] = {}
        self.asked = 0
        self.is_away = False

    async def standing_for(self, model: str, digest: str) -> ModelVersion | None:
        self.asked += 1
        if self.is_away:
            raise StoreUnavailable("look it up", "here", "away")
        return self.known.get(digest)

    async def base_of(self, round_id: str) -> ModelVersion | None:
        return self.bases.get(round_id)

    async def began(self, opened: Round, before: str | None) -> None:
        raise NotImplementedError

    async def before(self, opened: Round) -> Round | None:
        raise NotImplementedError


@pytest.fixture
def store() -> Versions:
    return Versions()


@pytest.fixture
def now() -> list[float]:
    return [1000.0]


@pytest.fixture
def book(store: Versions, now: list[float]) -> ModelBook:
    return ModelBook(store, store, lambda: now[0], capacity=2)


async def test_it_is_looked_up_once_a_second(book: ModelBook, store: Versions, now: list[float]) -> None:
    assert await book.facts("m", DIGEST, None) == {}
    store.known[DIGEST] = version()
    now[0] += 1.0
    assert await book.facts("m", DIGEST, None) == {}
    now[0] += 0.1
    assert await book.facts("m", DIGEST, None) == {"release": FACT}
    del store.known[DIGEST]
    assert await book.facts("m", DIGEST, None) == {"release": FACT}
    now[0] += 1.1
    assert await book.facts("m", DIGEST, None) == {}
    assert store.asked == 3


async def test_a_clock_that_was_put_back_does_not_prolong_what_is_known(
    book: ModelBook, store: Versions, now: list[float]
) -> None:
    store.known[DIGEST] = version()
    await book.facts("m", DIGEST, None)
    del store.known[DIGEST]
    now[0] -= 500.0
    assert await book.facts("m", DIGEST, None) == {}


async def test_only_so_many_answers_are_kept(book: ModelBook, store: Versions) -> None:
    for digest in ("a", "b", "c", "a"):
        await book.facts("m", digest, None)
    assert store.asked == 4


async def test_a_rounds_base_says_something_of_its_own_model_alone(book: ModelBook, store: Versions) -> None:
    store.bases["r"] = version()
    assert await book.facts("m", DIGEST, "r") == {"base": FACT}
    assert await book.facts("other", DIGEST, "r") == {}


async def test_a_store_that_is_away_vouches_for_nothing(book: ModelBook, store: Versions) -> None:
    store.is_away = True
    with pytest.raises(StoreUnavailable):
        await book.facts("m", DIGEST, None)


class _Nothing:
    window_seconds = 60.0

    def of(self, *_asked: Any) -> dict[str, Any]:
        return {}


async def test_no_callers_word_is_taken_for_it(book: ModelBook, now: list[float]) -> None:
    nothing: Any = _Nothing()
    gatherer = Gatherer(nothing, nothing, lambda: now[0], nothing, nothing, book)
    asked = {
        "subject": {"type": "device", "id": "dev-a"},
        "action": {"name": "model_access"},
        "resource": {"type": "model", "id": "m", "properties": {"digest": DIGEST}},
        "context": {"purpose": "serving", "integrity": ["example-lab"]},
    }
    facts, _ = await gatherer.gather(AccessRequest.model_validate(asked), None, "127.0.0.1")
    assert "integrity" not in facts["context"]
