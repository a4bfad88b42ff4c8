"""What noise costs is known before it is decided, and charged for nobody but who was decided on."""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from controlplane.confidentiality.privacy import Accountant, AccountantMissing, counted
from controlplane.contracts.decision import Decision, Obligations
from controlplane.contracts.privacy import Account, PrivacyBudget, PrivacyPlan, PrivacyTerms
from controlplane.decisions.engine import Answered, Unanswered
from controlplane.decisions.privacy import PrivacyBook
from controlplane.decisions.privacy_plans import AGAIN_SECONDS, FRESH_SECONDS, PrivacyPolicy
from controlplane.decisions.privacy_standing import KEPT_DAYS, PrivacyStandings
from controlplane.storage import Store, open_store

pytest.importorskip("dp_accounting.pld", reason="dp-accounting 0.6: pip install 'ztfm[privacy]'")

MODEL, OTHER, SET = "fall-detection", "gait", "falls"
DAY = 86_400.0
NOW = 20_000 * DAY + 3600.0
WEEK = PrivacyBudget(epsilon=1.0, window_days=7)


def terms(**changes: Any) -> PrivacyTerms:
    known = {"mode": "local", "data_set": SET, "clip_norm": 1.0, "noise_multiplier": 16.0, "delta": 1e-6}
    return PrivacyTerms(**{**known, **changes})


class Written:
    """Policy's plans, as a test has them: the policies' own are asked in tests/controlplane/api/test_privacy.py."""

    def __init__(self, **plans: PrivacyPlan) -> None:
        self.known: Mapping[str, PrivacyPlan] | None = {name.replace("_", "-"): plan for name, plan in plans.items()}

    async def plans(self) -> Mapping[str, PrivacyPlan] | None:
        return self.known


class Seen:
    """What was counted."""

    def __init__(self) -> None:
        self.shares: list[float] = []
        self.denials = 0
        self.causes: list[str] = []

    def privacy_charged(self, _model: str, share: float) -> None:
        self.shares.append(share)

    def privacy_denied(self, _model: str) -> None:
        self.denials += 1

    def privacy_unknown(self, cause: str) -> None:
        self.causes.append(cause)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}")
    yield opened
    await opened.close()


def plans_of(**changes: Any) -> Written:
    return Written(fall_detection=PrivacyPlan(terms=terms(**changes), budget=WEEK))


def book_of(store: Store, plans: Written, now: list[float] | None = None, accountant: Any = None) -> PrivacyBook:
    clock = now or [NOW]
    return PrivacyBook(plans, store.privacy, accountant or Accountant(), Seen(), lambda: clock[0])


def allowed(asked: PrivacyTerms | None) -> Decision:
    return Decision(
        id="dec-1",
        time=NOW,
        action="gradient_submission",
        subject="dev-a",
        resource=MODEL,
        outcome="allow",
        reasons=[],
        obligations=Obligations(privacy=asked),
        rules=["privacy_budget_left"],
        ttl_seconds=60.0,
        policy_revision="1",
    )


async def spend(book: PrivacyBook, device: str, model: str = MODEL) -> bool:
    """Decide as policy does, and charge: whether something would be given out."""
    while True:
        fact = await book.submission(model, device, None)
        assert fact is not None
        if fact["epsilon_after"] > fact["budget"]["epsilon"]:
            return False
        if await book.pay(fact, allowed(PrivacyTerms(**fact["terms"])), model, device):
            return True


async def test_a_model_without_a_plan_costs_nothing_and_has_nobody_wait(store: Store) -> None:
    book = book_of(store, plans_of())
    assert await book.submission(OTHER, "dev-a", None) is None
    assert await book.round(OTHER) is None
    assert await book.pay(None, allowed(None), OTHER, "dev-a")
    async with book.turn(OTHER, "dev-a"), book.turn(OTHER, "dev-a"):
        pass


async def test_of_one_device_one_at_a_time_has_its_turn_whoever_comes_between(store: Store) -> None:
    book, inside, most = book_of(store, plans_of()), 0, 0
    gone = asyncio.Event()

    async def enter(*, then: bool = False) -> None:
        nonlocal inside, most
        async with book.turn(MODEL, "dev-a"):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1
        if then:
            # The next one was let go on, and has not begun.
            gone.set()

    async def come_between() -> None:
        await gone.wait()
        await asyncio.gather(*(enter() for _ in range(4)))

    await asyncio.gather(enter(then=True), *(enter() for _ in range(4)), come_between())
    assert most == 1


async def test_what_something_costs_is_what_was_spent_and_one_more(store: Store) -> None:
    book, plan = book_of(store, plans_of()), plans_of()
    first = await book.submission(MODEL, "dev-a", None)
    assert first is not None
    assert (first["charges"], first["epsilon_spent"]) == (0, 0.0)
    assert first["epsilon_after"] == first["epsilon_alone"] == pytest.approx(0.5039, abs=1e-4)
    assert first["terms"] == plan.known[MODEL].terms.model_dump(exclude_none=True)  # type: ignore[index]
    assert await spend(book, "dev-a")
    second = await book.submission(MODEL, "dev-a", None)
    assert second is not None
    assert second["epsilon_spent"] == first["epsilon_after"] < second["epsilon_after"]
    assert "returns_at" not in second


async def test_models_that_share_a_data_set_share_its_budget(store: Store) -> None:
    plans = Written(
        fall_detection=PrivacyPlan(terms=terms(), budget=WEEK),
        gait=PrivacyPlan(terms=terms(noise_multiplier=32.0), budget=WEEK),
    )
    book = book_of(store, plans)
    assert await spend(book, "dev-a", OTHER)
    assert [await spend(book, "dev-a") for _ in range(4)] == [True, True, True, False]
    spent = await store.privacy.spent(Account("devices", "dev-a", SET))
    assert spent.charges == 4
    assert Accountant().epsilon(counted(spent.days), 1e-6) <= 1.0


@pytest.mark.parametrize("seed", range(3))
async def test_in_whatever_order_whoever_asks_no_window_ever_holds_more_than_its_budget(
    store: Store, tmp_path: Path, seed: int
) -> None:
    chance, now, plans = random.Random(seed), [NOW], plans_of()
    other = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}")
    books = [book_of(store, plans, now), book_of(other, plans, now)]
    granted = 0
    for _ in range(12):
        asked = [(chance.choice(books), chance.choice(["dev-a", "dev-b"])) for _ in range(chance.randint(1, 5))]
        granted += sum(await asyncio.gather(*(spend(book, device) for book, device in asked)))
        now[0] += chance.choice([0.0, 3600.0, DAY, 3 * DAY])
    await other.close()
    charges = 0
    for device in ("dev-a", "dev-b"):
        spent = await store.privacy.spent(Account("devices", device, SET))
        charges += spent.charges
        for last in range(min(spent.days, default=0), max(spent.days, default=0) + 1):
            window = {day: one for day, one in spent.days.items() if last - 7 < day <= last}
            assert Accountant().epsilon(counted(window), 1e-6) <= WEEK.epsilon
    assert charges == granted > 0


async def test_a_day_of_return_is_told_once_there_is_no_room(store: Store) -> None:
    now = [NOW]
    book = book_of(store, plans_of(), now)
    assert [await spend(book, "dev-a") for _ in range(4)] == [True, True, True, False]
    fact = await book.submission(MODEL, "dev-a", None)
    assert fact is not None
    assert fact["returns_at"] == (20_000 + 7) * DAY
    now[0] = fact["returns_at"] - 1.0
    assert not await spend(book, "dev-a")
    now[0] += 1.0
    assert await spend(book, "dev-a")


async def test_a_budget_that_is_too_small_for_one_never_returns(store: Store) -> None:
    book = book_of(store, plans_of(noise_multiplier=4.0))
    fact = await book.submission(MODEL, "dev-a", None)
    assert fact is not None
    assert fact["epsilon_after"] > WEEK.epsilon
    assert "returns_at" not in fact


async def test_where_the_aggregator_adds_noise_its_round_is_charged_and_no_device(store: Store) -> None:
    plans = plans_of(mode="central", noise_multiplier=8.0)
    book, charged = book_of(store, plans), plans.known[MODEL].terms  # type: ignore[index]
    fact = await book.round(MODEL)
    assert fact is not None
    assert await book.pay(fact, allowed(charged), MODEL, "agg-1")
    assert (await store.privacy.spent(Account("data-sets", SET, SET))).charges == 1
    for before, is_charged in ((charged, True), (None, False), (terms(), False)):
        told = await book.submission(MODEL, "dev-a", before)
        assert told is not None
        assert (told["round_charged"], "charges" in told) == (is_charged, False)
    assert await store.privacy.of("devices", "dev-a") == []
    assert await book_of(store, plans_of()).round(MODEL) is None


async def test_what_was_decided_on_a_moment_ago_is_not_charged_for_now(store: Store) -> None:
    book = book_of(store, plans_of())
    fact = await book.submission(MODEL, "dev-a", None)
    assert await spend(book, "dev-a")
    assert not await book.pay(fact, allowed(terms()), MODEL, "dev-a")
    # Nor is other noise than what was reckoned with: nobody compared that with the budget.
    now = await book.submission(MODEL, "dev-a", None)
    for other in ({"noise_multiplier": 8.0}, {"sampling": 0.5}, {"mode": "central"}, {"data_set": "others"}):
        assert not await book.pay(now, allowed(terms(**other)), MODEL, "dev-a")
    assert (await store.privacy.spent(Account("devices", "dev-a", SET))).charges == 1
    # Noise of which nobody said what it costs is not to be had either.
    assert not await book.pay(None, allowed(terms()), MODEL, "dev-a")
    assert not await book.pay({"known": False}, allowed(terms()), MODEL, "dev-a")


class Missing(Accountant):
    """An accountant whose library is not installed."""

    def epsilon(self, *_: object) -> float:
        raise AccountantMissing("pip install 'ztfm[privacy]'")


class Failing(Accountant):
    """An accountant that cannot compute it."""

    def epsilon(self, *_: object) -> float:
        raise OverflowError


@pytest.mark.parametrize(("accountant", "cause"), [(Missing(), "accountant_missing"), (Failing(), "accountant_failed")])
async def test_a_cost_that_cannot_be_computed_is_not_known(store: Store, accountant: Accountant, cause: str) -> None:
    book = book_of(store, plans_of(), accountant=accountant)
    assert await book.submission(MODEL, "dev-a", None) == {"known": False, "cause": cause}


async def test_while_policy_does_not_tell_plans_nothing_is_known(store: Store) -> None:
    plans = plans_of()
    book = book_of(store, plans)
    plans.known = None
    assert await book.submission(OTHER, "dev-a", None) == {"known": False, "cause": "plans_unknown"}
    assert await book.round(MODEL) == {"known": False, "cause": "plans_unknown"}


async def test_standings_tell_what_is_left_and_what_was_ever_spent(store: Store) -> None:
    now, plans = [NOW], plans_of()
    book = book_of(store, plans, now)
    standings = PrivacyStandings(plans, store.privacy, book, lambda: now[0])
    for device, times in (("dev-a", 1), ("dev-b", 3)):
        assert [await spend(book, device) for _ in range(times)] == [True] * times
    now[0] += 7 * DAY
    assert await spend(book, "dev-b")
    [mine] = (await standings.of_device("dev-b")).accounts
    assert (mine.known, mine.charges, mine.returns_at) == (True, 4, None)
    assert mine.epsilon_spent == pytest.approx(0.5039, abs=1e-4)
    assert mine.epsilon_ever is not None
    assert mine.epsilon_ever > 1.0
    assert [(one.window, one.ever) for one in mine.spending] == [(1, 4)]
    whole = await standings.of_data_set(SET)
    assert whole is not None
    # Nothing of the other is in the window any more.
    assert ([one.id for one in whole.accounts], whole.devices) == (["dev-b"], 2)
    assert await standings.fullest_share(SET) == pytest.approx(0.5039, abs=1e-4)
    assert await standings.of_data_set("unheard-of") is None
    assert await standings.kept_days() == KEPT_DAYS
    plans.known = None
    assert await standings.kept_days() is None
    [bare] = (await standings.of_device("dev-b")).accounts
    assert (bare.known, bare.budget, bare.charges) == (False, None, 4)


class Answers:
    """Stands for the engine: the real one is asked in tests/controlplane/api/test_privacy.py."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def ask(self, package: str, _document: bytes) -> Any:
        assert package == "privacy"
        self.asked += 1
        return self.answers[min(self.asked, len(self.answers)) - 1]


def answered(revision: str, document: Any) -> Answered:
    return Answered(document, revision)


async def test_plans_are_asked_for_anew_and_nobody_goes_by_old_ones() -> None:
    plan = PrivacyPlan(terms=terms(), budget=WEEK)
    told = {"plans": {MODEL: plan.model_dump(exclude_none=True)}}
    now = [0.0]
    engine = Answers(
        answered("1", told), answered("2", {"plans": {}}), answered("3", {"plans": "?"}), Unanswered("deadline")
    )
    policy = PrivacyPolicy(engine, timer=lambda: now[0])
    assert await policy.plans() == await policy.plans() == {MODEL: plan}
    assert engine.asked == 1
    for pause, expected in ((FRESH_SECONDS, {}), (FRESH_SECONDS, None), (AGAIN_SECONDS, None)):
        now[0] += pause
        # Whoever asks now is not kept waiting.
        await policy.plans()
        await asyncio.sleep(0)
        assert await policy.plans() == expected
    assert engine.asked == 4
