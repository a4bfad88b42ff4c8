"""What workers count together, they count once: whichever of them is asked, and however one ends."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.api.rates import RateLimit
from controlplane.capabilities.nonces import Nonces
from controlplane.capabilities.replay import ReplayCache
from controlplane.decisions.usage import Usage, UsageWindow
from controlplane.sharing.counted import SHAPES, SharedCells, SharedUses, own, shared
from controlplane.sharing.memory import WAYS, Memory, Shape
from tests.clocks import Clock

USES, CELLS = Shape(1, 1), Shape(1, 3)
"""One bucket each, so that every name meets every other."""

OTHER = """
import sys, time
from base64 import b64decode
from controlplane.api.rates import RateLimit
from controlplane.decisions.usage import UsageWindow
from controlplane.sharing.memory import Memory
from controlplane.sharing.counted import SHAPES, shared

memory = Memory(int(sys.argv[1]), b64decode(sys.argv[2]), SHAPES)
counted = shared(memory, time.time)
until = float(sys.argv[3])
usage = UsageWindow(time.time, cells=counted.usage)
rate = RateLimit(lambda: 1.0, rate=1.0, burst=500.0, cells=counted.callers)
won = sum(counted.proofs.use(f"proof-{number}", until) == "first" for number in range(1000))
for _ in range(1000):
    usage.reserve("dev-a", 2)
print(won, sum(rate.take("dev-a") == 0.0 for _ in range(1000)))
"""


@pytest.fixture
def memory() -> Iterator[Memory]:
    found = Memory.create(SHAPES)
    yield found
    found.close()


def one_bucket() -> Memory:
    return Memory.create((USES, CELLS))


def test_workers_that_race_use_a_proof_once_and_share_every_budget(memory: Memory) -> None:
    until = time.time() + 60.0
    arguments = [str(memory.descriptor), b64encode(memory.secret).decode(), str(until)]
    others = [
        subprocess.Popen(
            [sys.executable, "-c", OTHER, *arguments],
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=[memory.descriptor],
        )
        for _ in range(3)
    ]
    found = [[int(number) for number in other.communicate()[0].split()] for other in others]
    assert sum(won for won, _ in found) == 1000, "a proof passed twice, or never"
    assert sum(taken for _, taken in found) == 500, "an allowance was multiplied"
    assert UsageWindow(time.time, cells=shared(memory, time.time).usage).look("dev-a") == Usage(3000, 6000)


def test_whoever_is_killed_while_it_holds_a_place_leaves_no_lock(memory: Memory) -> None:
    held = "fcntl.lockf(int(sys.argv[1]), fcntl.LOCK_EX); print('held', flush=True); time.sleep(60)"
    holder = subprocess.Popen(
        [sys.executable, "-c", f"import fcntl, sys, time; {held}", str(memory.descriptor)],
        stdout=subprocess.PIPE,
        text=True,
        pass_fds=[memory.descriptor],
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(BlockingIOError):
        fcntl.lockf(memory.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    assert shared(memory, time.time).proofs.use("a", time.time() + 60.0) == "first"


@given(st.lists(st.tuples(st.integers(0, 9), st.floats(0.0, 30.0), st.floats(-5.0, 40.0)), max_size=40))
def test_seen_proofs_answer_as_those_of_one_process_do(steps: list[tuple[int, float, float]]) -> None:
    clock, memory = Clock(), one_bucket()
    alone, together = ReplayCache(clock, WAYS), SharedUses(memory.part(0), clock)
    for name, pause, lifetime in steps:
        clock.now += pause
        until = float(int(clock.now + lifetime))
        expected, found = alone.use(f"{name}-{until}", until), together.use(f"{name}-{until}", until)
        # It may know longer than a moment what expired, and calls that used, not late: either way nothing passes.
        assert (found == "first") == (expected == "first")
    memory.close()


def test_a_full_bucket_lets_nothing_pass_until_something_expires() -> None:
    clock, memory = Clock(), one_bucket()
    uses = SharedUses(memory.part(0), clock)
    assert [uses.use(str(number), clock.now + 10.0 + number) for number in range(WAYS)] == ["first"] * WAYS
    assert uses.use("more", clock.now + 60.0) == "full"
    clock.now += 10.5
    assert uses.use("more", clock.now + 60.0) == "first"
    assert uses.use("more", clock.now + 60.0) == "again"
    memory.close()


def test_a_clock_that_steps_back_opens_nothing() -> None:
    clock, memory = Clock(), one_bucket()
    uses = SharedUses(memory.part(0), clock)
    until = clock.now + 10.0
    for number in range(WAYS):
        uses.use(str(number), until)
    clock.now += 20.0
    assert uses.use("new", clock.now + 10.0) == "first"
    clock.now -= 20.0
    assert [uses.use(str(number), until) for number in range(WAYS)].count("first") == 0
    memory.close()


def test_workers_whose_clock_was_ahead_and_is_put_right_refuse_nobody_who_is_new() -> None:
    clock, memory = Clock(), one_bucket()
    uses = SharedUses(memory.part(0), clock)
    used: list[tuple[str, float]] = []

    def passes(count: int) -> list[str]:
        found = []
        for _ in range(count):
            clock.now += 5.0
            used.append((f"{clock.now}", clock.now + 30.0))
            found.append(uses.use(*used[-1]))
        return found

    assert set(passes(60)) == {"first"}
    clock.now += 3600.0
    assert set(passes(60)) == {"first"}
    clock.now -= 3600.0
    assert set(passes(20)) == {"first"}
    for name, expiry in used:
        clock.now = expiry - 10.0
        assert uses.use(name, expiry) != "first"
    memory.close()


@given(st.lists(st.tuples(st.integers(0, 40), st.floats(-90.0, 90.0)), max_size=60))
def test_no_proof_passes_two_workers_whatever_their_clock_does(steps: list[tuple[int, float]]) -> None:
    clock, memory = Clock(), one_bucket()
    workers = [SharedUses(memory.part(0), clock) for _ in range(2)]
    passed: set[int] = set()
    for name, move in steps:
        if workers[name % 2].use(str(name), Clock().now + 10.0 * name) == "first":
            assert name not in passed
            passed.add(name)
        clock.now += move
    memory.close()


@pytest.mark.parametrize("expiry", [float("nan"), float("inf")])
def test_an_expiry_is_a_finite_number(memory: Memory, expiry: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        shared(memory, time.time).proofs.use("a", expiry)


def test_in_a_full_bucket_the_name_that_was_changed_longest_ago_goes() -> None:
    memory, now = one_bucket(), Clock()
    cells = SharedCells(memory.part(1), now)
    for number in range(WAYS):
        now.now += 1.0
        cells.change(str(number), lambda _: (None, (1.0, 2.0)))
    cells.change("0", lambda cell: (None, cell or (0.0, 0.0)))
    now.now += 1.0
    cells.change("0", lambda cell: (None, cell or (0.0, 0.0)))
    cells.change("new", lambda _: (None, (3.0, 4.0)))
    assert cells.look("0") == (1.0, 2.0)
    assert cells.look("1") is None
    assert cells.look("new") == (3.0, 4.0)
    memory.close()


def test_work_that_fails_changes_nothing_and_holds_nothing() -> None:
    memory = one_bucket()
    cells = SharedCells(memory.part(1))
    cells.change("a", lambda _: (None, (1.0, 2.0)))
    with pytest.raises(ZeroDivisionError):
        cells.change("a", lambda _: (1 // 0, (0.0, 0.0)))
    assert cells.look("a") == (1.0, 2.0)
    memory.close()


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0.0, 2.0)), max_size=40))
def test_allowances_are_those_of_one_process(steps: list[tuple[str, float]]) -> None:
    clock, memory = Clock(), one_bucket()
    alone = RateLimit(clock, rate=1.0, burst=3.0)
    together = RateLimit(clock, rate=1.0, burst=3.0, cells=SharedCells(memory.part(1), clock))
    for name, pause in steps:
        clock.now += pause
        assert together.take(name) == alone.take(name)
        assert together.wait(name) == alone.wait(name)
    memory.close()


def test_a_nonce_of_one_worker_serves_at_the_other_and_nowhere_else(memory: Memory) -> None:
    clock = Clock()
    secret = shared(memory, clock).nonce_secret
    nonce = Nonces(clock, secret).current()
    assert Nonces(clock, secret).examine(nonce) is None
    assert Nonces(clock).examine(nonce) == "proof_foreign_nonce"
    assert secret != memory.secret
    assert own(clock).nonce_secret is None
