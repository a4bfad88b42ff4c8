"""Readiness tells what is wrong, part by part, and probing it is never a load."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from controlplane.contracts.policies import LayerStanding, PolicyStanding, Refusal
from controlplane.decisions.engine import BatchAnswer, BatchFault, Cause
from controlplane.readiness import ReadinessProbe
from controlplane.storage import StoreUnavailable
from tests.clocks import Clock


def probing(
    opa: "Opa",
    ping: Callable[[], Awaitable[None]],
    examine_key: Callable[[], str],
    on_revision: Callable[[str], None],
    *,
    clock: Callable[[], float],
    refusal: Refusal | None = None,
) -> ReadinessProbe:
    """A probe of a control plane whose base is called as OPA says, was published at 100 s, and is asked at 130 s."""

    def policies(revision: str) -> PolicyStanding:
        base = LayerStanding(
            layer="base", is_expected=True, release=None, active_revision=revision, age_seconds=None, refusal=refusal
        )
        return PolicyStanding(engine="opa", revision=revision, layers=[base])

    return ReadinessProbe(
        opa,
        ping,
        examine_key,
        on_revision,
        policies=policies,
        published_at=lambda revision: 100.0 if revision == "rev" else None,
        now=lambda: 130.0,
        clock=clock,
    )


class Opa:
    """Stands for OPA where a test must choose the fault."""

    def __init__(self, cause: Cause | None = None, revision: str = "rev") -> None:
        self.cause = cause
        self.revision = revision
        self.calls = 0

    async def send(self, body: bytes, within: float) -> BatchAnswer:
        self.calls += 1
        await asyncio.sleep(0.01)
        if self.cause is not None:
            raise BatchFault(self.cause, whole=True)
        return BatchAnswer({}, self.revision)


async def fine() -> None:
    return None


async def broken() -> None:
    raise StoreUnavailable("reach the database", "sqlite", "locked")


async def hanging() -> None:
    await asyncio.sleep(30)


def sound() -> str:
    return "ok"


async def test_all_parts_make_it_ready_and_the_revision_is_told() -> None:
    seen: list[str] = []
    state = await probing(Opa(), fine, sound, seen.append, clock=Clock(0.0))()
    assert state.ready
    assert state.policy_revision == "rev"
    assert state.policy_age_seconds == 30.0
    assert seen == ["rev"]


@pytest.mark.parametrize(
    ("cause", "opa", "policy"),
    [
        ("unreachable", "unreachable", "no verified policy is active for base"),
        ("deadline", "deadline", "no verified policy is active for base"),
        ("engine_error", "engine_error", "no verified policy is active for base"),
        ("undefined", "ok", "no verified policy is active for base"),
    ],
)
async def test_what_is_wrong_with_opa_is_named(cause: Cause, opa: str, policy: str) -> None:
    state = await probing(Opa(cause), fine, sound, lambda _: None, clock=Clock(0.0))()
    assert not state.ready
    assert (state.checks["opa"], state.checks["policy"], state.checks["store"]) == (opa, policy, "ok")


async def test_a_store_that_fails_or_hangs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controlplane.readiness.PROBE_TIMEOUT_SECONDS", 0.05)
    for ping in (broken, hanging):
        state = await probing(Opa(), ping, sound, lambda _: None, clock=Clock(0.0))()
        assert not state.ready
        assert state.checks["store"] == "cannot be used"


async def test_many_who_ask_at_once_are_one_load() -> None:
    opa, clock = Opa(), Clock(0.0)
    probe = probing(opa, fine, sound, lambda _: None, clock=clock)
    await asyncio.gather(*(probe() for _ in range(100)))
    assert opa.calls == 1
    await probe()
    assert opa.calls == 1
    clock.now = 0.3
    await probe()
    assert opa.calls == 2


async def test_one_who_leaves_does_not_take_the_answer_away() -> None:
    probe = probing(Opa(), fine, sound, lambda _: None, clock=Clock(0.0))
    first, second = asyncio.create_task(probe()), asyncio.create_task(probe())
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).ready


async def watched(opa: Opa, seconds: list[float]) -> tuple[list[bool], int]:
    """Watch for as many passes as there are steps of time; return the states and how often OPA was called hung."""
    clock, hung = Clock(0.0), 0
    states: list[bool] = []

    def on_hung() -> None:
        nonlocal hung
        hung += 1

    async def sleep(_seconds: float) -> None:
        if not seconds:
            raise asyncio.CancelledError
        clock.now += seconds.pop(0)

    with pytest.raises(asyncio.CancelledError):
        await probing(opa, fine, sound, lambda _: None, clock=clock).watch(states.append, on_hung, sleep)
    return states, hung


async def test_an_opa_that_hangs_for_ten_seconds_is_called_hung_and_again_after_ten_more() -> None:
    assert await watched(Opa("deadline"), [1.0] * 9) == ([False] * 10, 0)
    assert (await watched(Opa("deadline"), [1.0] * 11))[1] == 1
    assert (await watched(Opa("deadline"), [1.0] * 22))[1] == 2


async def test_an_opa_that_is_down_or_well_is_not_called_hung() -> None:
    assert (await watched(Opa("unreachable"), [1.0] * 30))[1] == 0
    assert await watched(Opa(), [1.0] * 30) == ([True] * 31, 0)


async def test_what_is_wrong_with_the_signing_key_is_told() -> None:
    state = await probing(Opa(), fine, lambda: "its file is gone", lambda _: None, clock=Clock(0.0))()
    assert not state.ready
    assert state.checks["signing_key"] == "its file is gone"
    assert state.checks["opa"] == state.checks["store"] == "ok"


async def test_when_what_was_released_is_refused_and_nothing_decides_the_reason_is_told() -> None:
    refusal = Refusal(time=1.0, layer="base", reason="untrusted", detail="a key")
    state = await probing(Opa("undefined"), fine, sound, lambda _: None, clock=Clock(0.0), refusal=refusal)()
    assert not state.ready
    assert "untrusted" in state.checks["policy"]
    assert state.policy_age_seconds is None
    still = await probing(Opa(), fine, sound, lambda _: None, clock=Clock(0.0), refusal=refusal)()
    assert still.ready, "the last good one decides"


async def test_a_layer_that_is_to_decide_and_has_no_policies_is_not_ready() -> None:
    site = LayerStanding(
        layer="site", is_expected=True, release=None, active_revision="", age_seconds=None, refusal=None
    )
    for is_expected in (True, False):
        one = site.model_copy(update={"is_expected": is_expected})
        state = await ReadinessProbe(
            Opa(),
            fine,
            sound,
            lambda _: None,
            policies=lambda revision, one=one: PolicyStanding(engine="opa", revision=revision, layers=[one]),
            published_at=lambda _: None,
            now=lambda: 0.0,
            clock=Clock(0.0),
        )()
        assert state.ready is not is_expected
