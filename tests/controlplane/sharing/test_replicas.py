"""What a replica has ahead of what all count together: enough that most requests ask nobody, and never too much."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.decisions.usage import Reserved
from controlplane.sharing import windows
from controlplane.sharing.groups import Groups
from controlplane.sharing.proofs import SharedProofs
from controlplane.sharing.rates import HOLD_SECONDS, LeasedRate
from controlplane.sharing.windows import SharedUsage
from controlplane.storage.errors import StoreUnavailable
from controlplane.storage.limits import Lease, Numbers
from tests.clocks import Clock


@dataclass
class Heard:
    """What was asked."""

    groups: list[tuple[str, int, bool]] = field(default_factory=list)

    def asked(self, about: str, questions: int, seconds: float, *, is_answered: bool) -> None:
        assert seconds >= 0.0
        self.groups.append((about, questions, is_answered))


@dataclass
class Memory:
    """Stands in for the store, by a clock of its own: what the statements do, `storage.limits` is tested for."""

    clock: Clock
    seen: set[str] = field(default_factory=set)
    full_at: dict[str, float] = field(default_factory=dict)
    used: dict[tuple[int, str], tuple[int, int]] = field(default_factory=dict)
    is_away: bool = False
    asked: int = 0

    def _ask(self) -> None:
        self.asked += 1
        if self.is_away:
            raise StoreUnavailable("count", "memory", "it is away")

    async def claim(self, proofs: Mapping[str, float]) -> set[str]:
        self._ask()
        await asyncio.sleep(0)
        new = proofs.keys() - self.seen
        self.seen |= new
        return set(new)

    async def lease(self, wanted: Mapping[str, int], rate: float, burst: float) -> dict[str, Lease]:
        self._ask()
        await asyncio.sleep(0)
        found, now = {}, self.clock()
        for name, want in wanted.items():
            full_at = max(now, self.full_at.get(name, 0.0))
            granted = min(want, max(0, int(burst - (full_at - now) * rate + 0.001)))
            self.full_at[name] = full_at + granted / rate
            found[name] = Lease(granted, self.full_at[name] - now)
        return found

    async def charge(self, costs: Mapping[str, int], rate: float) -> None:
        self._ask()
        for name, cost in costs.items():
            self.full_at[name] = max(self.clock(), self.full_at.get(name, 0.0)) + cost / rate

    async def count(self, used: Mapping[str, tuple[int, int]], window_seconds: int) -> dict[str, Numbers]:
        self._ask()
        await asyncio.sleep(0)
        found, now = {}, self.clock()
        start = int(now // window_seconds) * window_seconds
        for name, (requests, tokens) in used.items():
            one, more = self.used.get((start, name), (0, 0))
            self.used[start, name] = one + requests, more + tokens
            before = self.used.get((start - window_seconds, name), (0, 0))
            found[name] = Numbers(start, now - start, one, more, *before)
        return found

    async def give_back(self, unused: Mapping[tuple[int, str], tuple[int, int]]) -> None:
        self._ask()
        for key, (requests, tokens) in unused.items():
            one, more = self.used[key]
            self.used[key] = max(0, one - requests), max(0, more - tokens)


async def until(claim: Callable[[], bool]) -> None:
    """Let others go on until something holds."""
    deadline = time.monotonic() + 20.0
    while not claim():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.001 if time.monotonic() > deadline - 19.9 else 0)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def memory(clock: Clock) -> Memory:
    return Memory(clock)


def rate_of(memory: Memory, heard: Heard | None = None, rate: float = 10.0, burst: float = 34.0) -> LeasedRate:
    return LeasedRate(memory, "callers", memory.clock, heard or Heard(), rate=rate, burst=burst)


async def test_what_comes_while_the_store_is_asked_goes_into_the_next_question_together() -> None:
    begun, go = asyncio.Event(), asyncio.Event()
    asked: list[list[int]] = []

    async def answer(group: object) -> list[int]:
        numbers = [int(one) for one in group]  # type: ignore[attr-defined]
        asked.append(numbers)
        begun.set()
        await go.wait()
        return [2 * one for one in numbers]

    heard = Heard()
    groups: Groups[int, int] = Groups("proofs", answer, heard)
    tasks = [asyncio.create_task(groups.ask(0))]
    await begun.wait()
    tasks += [asyncio.create_task(groups.ask(number)) for number in range(1, 9)]
    await asyncio.sleep(0)
    go.set()
    assert await asyncio.gather(*tasks) == [2 * number for number in range(9)]
    assert asked == [[0], list(range(1, 9))]
    assert heard.groups == [("proofs", 1, True), ("proofs", 8, True)]


async def test_a_fault_reaches_everybody_who_asked_and_the_next_question_is_asked() -> None:
    is_away = True

    async def answer(group: object) -> list[int]:
        if is_away:
            raise StoreUnavailable("count", "here", "it is away")
        return [1]

    groups: Groups[int, int] = Groups("proofs", answer, Heard())
    found = await asyncio.gather(*(groups.ask(number) for number in range(3)), return_exceptions=True)
    assert [type(one) for one in found] == [StoreUnavailable] * 3
    is_away = False
    assert await groups.ask(1) == 1


async def test_more_questions_than_may_wait_are_refused_at_once() -> None:
    never = asyncio.Event()

    async def answer(group: object) -> list[int]:
        await never.wait()
        return []

    groups: Groups[int, int] = Groups("proofs", answer, Heard(), group=1, queue=2)
    tasks = [asyncio.create_task(groups.ask(number)) for number in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(StoreUnavailable, match="2 questions wait"):
        await groups.ask(9)
    for task in tasks:
        task.cancel()


async def test_of_one_proof_that_comes_twice_at_once_one_passes(memory: Memory) -> None:
    proofs, others = SharedProofs(memory, Heard()), SharedProofs(memory, Heard())
    asked = [one.use("proof", "a", 1e12) for one in (proofs, proofs, others)]
    assert sorted(await asyncio.gather(*asked)) == ["again", "again", "first"]
    assert await others.use("binding", "a", 1e12) == "first", "of another kind it is another one"


async def test_most_requests_of_one_who_asks_often_ask_nobody(memory: Memory, clock: Clock) -> None:
    rate = rate_of(memory, rate=1000.0, burst=4200.0)
    for _ in range(1000):
        assert await rate.take("a") == 0.0
        clock.now += 0.001
    assert memory.asked < 30


async def test_one_who_asks_seldom_takes_no_more_than_that(memory: Memory, clock: Clock) -> None:
    rate = rate_of(memory, rate=0.001, burst=34.0)
    for _ in range(10):
        assert await rate.take("a") == 0.0
        clock.now += 1.0
    left = 34.0 - (memory.full_at[next(iter(memory.full_at))] - clock.now) * 0.001
    assert left == pytest.approx(24.0, abs=0.1), "ten, and nothing was leased that was not used"


async def test_what_was_leased_is_worth_nothing_later(memory: Memory, clock: Clock) -> None:
    rate = rate_of(memory)
    for _ in range(3):
        assert await rate.take("a") == 0.0
    asked = memory.asked
    clock.now += HOLD_SECONDS
    assert await rate.take("a") == 0.0
    assert memory.asked == asked + 1


async def test_replicas_never_let_through_more_than_one_would(memory: Memory, clock: Clock) -> None:
    began, replicas = clock.now, [rate_of(memory) for _ in range(3)]
    admitted = 0
    for turn in range(400):
        found = await asyncio.gather(*(one.take("a") for one in replicas for _ in range(turn % 4)))
        admitted += found.count(0.0)
        clock.now += 0.005
        assert admitted <= 34.0 + 10.0 * (clock.now - began)
    assert admitted >= 40, "and most of it"


async def test_whoever_finds_nothing_is_told_when_and_asks_nobody_until_then(memory: Memory, clock: Clock) -> None:
    rate = rate_of(memory)
    waits = [await rate.take("a") for _ in range(60)]
    assert waits.count(0.0) == 32, "the burst, less what fills while a lease lasts"
    asked = memory.asked
    assert 0.0 < waits[-1] <= 0.11
    assert rate.wait("a") > 0.0
    assert memory.asked == asked
    clock.now += waits[-1]
    assert await rate.take("a") == 0.0


async def test_whoever_looks_first_finds_what_it_takes(memory: Memory) -> None:
    rate = rate_of(memory)
    assert rate.wait("a") == 0.0
    await until(lambda: memory.asked == 1)
    assert await rate.take("a") == 0.0
    assert memory.asked == 1


async def test_what_is_charged_at_one_replica_is_owed_at_the_other(memory: Memory) -> None:
    one, other = rate_of(memory), rate_of(memory)
    await one.charge("a", 50)
    assert await other.take("a") == pytest.approx(1.9, abs=0.01)
    await one.charge("a", -50)
    assert await rate_of(memory).take("a") == 0.0


async def test_without_the_store_nobody_is_admitted(memory: Memory, clock: Clock) -> None:
    rate, usage, proofs = rate_of(memory), SharedUsage(memory, clock, Heard()), SharedProofs(memory, Heard())
    memory.is_away = True
    for asked in (rate.take("a"), rate.charge("a", 1), usage.reserve("a"), usage.look("a"), proofs.use("p", "a", 1e12)):
        with pytest.raises(StoreUnavailable):
            await asked
    memory.is_away = False
    assert await rate.take("a") == 0.0
    assert (await usage.reserve("a")).used.requests == 0


@pytest.mark.parametrize("burst", [1.0, 2.9])
def test_a_burst_that_fills_while_a_lease_lasts_is_refused(memory: Memory, burst: float) -> None:
    with pytest.raises(ValueError, match="a fifth of a second"):
        rate_of(memory, rate=10.0, burst=burst)


def usage_of(memory: Memory) -> SharedUsage:
    return SharedUsage(memory, memory.clock, Heard())


async def test_each_request_sees_those_before_it_whoever_answered_them(memory: Memory) -> None:
    replicas = [usage_of(memory) for _ in range(2)]
    seen = [(await replicas[number % 2].reserve("a", 10)).used for number in range(40)]
    assert len({one.requests for one in seen}) == 40
    assert sum(one.requests < 30 for one in seen) <= 30
    assert all(one.tokens == 10 * one.requests for one in seen)


async def test_what_is_left_of_a_run_is_given_back(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "HOLD_SECONDS", 0.01)
    usage = usage_of(memory)
    for _ in range(10):
        await usage.reserve("a", 5)
    await until(lambda: next(iter(memory.used.values())) == (10, 50))


async def test_tokens_that_were_not_granted_are_given_back(memory: Memory) -> None:
    usage = usage_of(memory)
    usage.release(await usage.reserve("a", 100))
    await until(lambda: next(iter(memory.used.values())) == (1, 0))


async def test_what_is_released_after_its_window_is_given_back_to_that_one_alone(memory: Memory, clock: Clock) -> None:
    clock.now = 6000.0
    usage = usage_of(memory)
    late = await usage.reserve("a", 40)
    clock.now = 6061.0
    await usage.reserve("a", 100)
    usage.release(late)
    await until(lambda: not usage._tasks)
    assert {start: used for (start, _), used in memory.used.items()} == {6000: (1, 0), 6060: (1, 100)}


async def test_looking_counts_nothing(memory: Memory, clock: Clock) -> None:
    one, other = usage_of(memory), usage_of(memory)
    assert (await one.look("a")).requests == 0
    await one.reserve("a", 7)
    assert [(await other.look("a")).requests for _ in range(3)] == [1, 1, 1]
    assert (await one.look("a")).tokens == 7


async def test_in_the_next_window_a_share_of_the_one_before_counts(memory: Memory, clock: Clock) -> None:
    clock.now = 6000.0
    usage = usage_of(memory)
    for _ in range(10):
        await usage.reserve("a")
    clock.now = 6090.0
    assert (await usage.reserve("a")).used.requests in {5, 6, 7, 8}, "half of ten, and what was held ahead"
    clock.now = 6180.0 + 60.0
    assert (await usage.reserve("a")).used.requests == 0


@given(
    turns=st.lists(
        st.tuples(
            st.integers(0, 2),
            st.integers(1, 6),
            st.integers(0, 3),
            st.booleans(),
            st.sampled_from((0.0, 0.0, 0.4, 35.0, 70.0)),
            st.integers(0, 9),
        ),
        min_size=1,
        max_size=40,
    )
)
def test_whatever_the_limit_no_more_requests_of_a_window_bear_a_number_below_it(
    turns: list[tuple[int, int, int, bool, float, int]],
) -> None:
    """Of each turn: the replica, how many ask at once, for how many tokens, whether what is left has its time,
    the seconds before it, and which earlier one is denied only now, however long ago it was counted."""

    async def run() -> None:
        memory = Memory(Clock(now=6000.0))
        replicas = [usage_of(memory) for _ in range(3)]
        counted: list[Reserved] = []
        granted: list[Reserved] = []
        for number, count, tokens, ends, seconds, late in turns:
            memory.clock.now += seconds
            replica = replicas[number]
            if late < len(granted):
                replica.release(granted.pop(late))
                await until(lambda of=replica: not of._tasks)  # type: ignore[misc]
            found = await asyncio.gather(*(replica.reserve("a", tokens) for _ in range(count)))
            counted += found
            granted += found
            if ends:
                replica._end("a", replica._held["a"])
                await until(lambda of=replica: not of._tasks)  # type: ignore[misc]
        for start in {one.starts_at for one in counted}:
            requests = [one.used.requests for one in counted if one.starts_at == start]
            ends_at = [(one.used.tokens + one.tokens, one.tokens) for one in granted if one.starts_at == start]
            for limit in range(len(requests) + 1):
                assert sum(one < limit for one in requests) <= limit
            for limit in range(0, sum(tokens for _, tokens in ends_at) + 1, 3):
                assert sum(tokens for end, tokens in ends_at if end <= limit) <= limit
            [stored] = [tokens for (began, _), (_, tokens) in memory.used.items() if began == start]
            assert stored >= sum(tokens for _, tokens in ends_at), "and no window forgets what was granted in it"

    asyncio.run(run())
