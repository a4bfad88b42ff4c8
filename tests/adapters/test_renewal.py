"""Capabilities that renew themselves, on a timer that the test moves, and against a real control plane."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.answers import Grant
from adapters.client import Capabilities, SyncCapabilities
from adapters.errors import Unavailable
from adapters.member import Member
from controlplane.contracts.access import AccessReason, ActionName, InferenceSize, Resource
from controlplane.contracts.capability import Capability, CapabilityContext
from tests.support import MODEL

RESOURCE = Resource(type="model", id=MODEL)
CONTEXT = CapabilityContext(inference=InferenceSize(prompt_tokens=1, max_output_tokens=1))
DENIAL = Grant(False, (AccessReason(code="trust", message="low", remedy="wait"),), "dec-9", "", "deny", None)


class Issuer:
    """Hands out numbered capabilities, and what it is told to instead. It stands for a control plane whose time the
    test moves."""

    def __init__(self, life: float = 100.0) -> None:
        self.now = 0.0
        self.life = life
        self.asked: list[tuple[str, str]] = []
        self.instead: Grant | Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    def timer(self) -> float:
        return self.now

    async def capability(
        self, action: ActionName, resource: Resource, audience: str, context: CapabilityContext | None = None
    ) -> Grant:
        self.asked.append((action, audience))
        number = len(self.asked)
        await self.gate.wait()
        if isinstance(self.instead, Exception):
            raise self.instead
        if self.instead is not None:
            return self.instead
        capability = Capability(
            access_token=f"token-{number}", expires_in=self.life, decision_id="dec-1", policy_revision="r"
        )
        return Grant(True, (), "dec-1", "r", "allow", capability)

    def kept(self, **options: Any) -> Capabilities:
        return Capabilities(self, timer=self.timer, **{"chance": lambda: 0.5, **options})


async def token(capabilities: Capabilities, audience: str = "gateway-1", action: ActionName = "inference") -> str:
    return (await capabilities.get(action, RESOURCE, audience, CONTEXT)).require().access_token


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_one_is_kept_until_a_fraction_of_its_life_has_passed() -> None:
    issuer = Issuer()
    async with issuer.kept(fraction=0.6, jitter=0.0) as capabilities:
        assert await token(capabilities) == "token-1"
        issuer.now = 59.9
        assert await token(capabilities) == "token-1"
        issuer.now = 60.0
        assert await token(capabilities) == "token-1", "whoever asks meanwhile is not kept waiting"
        await settle()
        assert await token(capabilities) == "token-2"
        assert len(issuer.asked) == 2


async def test_nobody_is_given_one_that_has_run_out() -> None:
    issuer = Issuer()
    async with issuer.kept() as capabilities:
        assert await token(capabilities) == "token-1"
        issuer.now = 99.0
        assert await token(capabilities) == "token-2"
        issuer.instead, issuer.now = Unavailable("down"), 198.0
        with pytest.raises(Unavailable):
            await token(capabilities)


async def test_life_is_counted_from_before_the_request() -> None:
    issuer = Issuer()
    issuer.gate.clear()
    async with issuer.kept() as capabilities:
        waiting = asyncio.create_task(token(capabilities))
        await settle()
        issuer.now = 50.0
        issuer.gate.set()
        await waiting
        issuer.now = 99.5
        assert await token(capabilities) == "token-2"


async def test_however_many_ask_one_request_is_made() -> None:
    issuer = Issuer()
    async with issuer.kept() as capabilities:
        assert set(await asyncio.gather(*(token(capabilities) for _ in range(50)))) == {"token-1"}
        issuer.now = 80.0
        assert set(await asyncio.gather(*(token(capabilities) for _ in range(50)))) == {"token-1"}
        await settle()
        assert len(issuer.asked) == 2


async def test_one_who_gives_up_waiting_does_not_spoil_it_for_the_others() -> None:
    issuer = Issuer()
    issuer.gate.clear()
    async with issuer.kept() as capabilities:
        first, second = (asyncio.create_task(token(capabilities)) for _ in range(2))
        await settle()
        first.cancel()
        await settle()
        issuer.gate.set()
        assert await second == "token-1"


async def test_a_capability_to_submit_is_never_kept_nor_shared() -> None:
    issuer = Issuer()
    async with issuer.kept() as capabilities:
        found = await asyncio.gather(*(token(capabilities, action="gradient_submission") for _ in range(3)))
        assert len(set(found)) == 3


async def test_a_denial_is_a_value_and_is_not_kept() -> None:
    issuer = Issuer()
    issuer.instead = DENIAL
    async with issuer.kept() as capabilities:
        grant = await capabilities.get("inference", RESOURCE, "gateway-1", CONTEXT)
        assert (grant.allowed, grant.reasons[0].code) == (False, "trust")
        issuer.instead = None
        assert await token(capabilities) == "token-2"


async def test_a_denied_renewal_ends_what_was_kept() -> None:
    issuer = Issuer()
    async with issuer.kept() as capabilities:
        await token(capabilities)
        issuer.instead, issuer.now = DENIAL, 80.0
        await capabilities.get("inference", RESOURCE, "gateway-1", CONTEXT)
        await settle()
        assert not (await capabilities.get("inference", RESOURCE, "gateway-1", CONTEXT)).allowed


async def test_a_renewal_that_fails_is_tried_again_and_not_at_once() -> None:
    issuer = Issuer()
    async with issuer.kept() as capabilities:
        await token(capabilities)
        issuer.instead = Unavailable("down")
        for issuer.now in (80.0, 80.1, 80.9, 81.1):
            assert await token(capabilities) == "token-1"
            await settle()
        assert len(issuer.asked) == 3


async def test_what_is_kept_is_bounded_and_the_least_used_goes_first() -> None:
    issuer = Issuer()
    async with issuer.kept(capacity=2) as capabilities:
        for audience in ("a", "b", "a", "c", "a", "b"):
            await token(capabilities, audience)
        assert [audience for _, audience in issuer.asked] == ["a", "b", "c", "b"]
        assert len(capabilities._asked_at) <= 2


async def test_what_differs_in_any_part_is_another_capability() -> None:
    issuer = Issuer()
    other = CapabilityContext(inference=InferenceSize(prompt_tokens=2, max_output_tokens=1))
    async with issuer.kept() as capabilities:
        await capabilities.get("inference", RESOURCE, "a", CONTEXT)
        await capabilities.get("inference", RESOURCE, "a", other)
        await capabilities.get("inference", Resource(type="model", id="x"), "a", CONTEXT)
        await capabilities.get("model_access", RESOURCE, "a", CONTEXT)
        await capabilities.get("inference", RESOURCE, "b", CONTEXT)
        assert len(issuer.asked) == 5


async def test_closing_ends_what_is_under_way_and_hands_out_nothing_more() -> None:
    issuer = Issuer()
    issuer.gate.clear()
    capabilities = issuer.kept()
    waiting = asyncio.create_task(token(capabilities))
    await settle()
    await capabilities.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    with pytest.raises(RuntimeError, match="closed"):
        await token(capabilities)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_what_was_forgotten_is_asked_for_anew() -> None:
    issuer = Issuer()
    async with issuer.kept() as capabilities:
        await token(capabilities)
        await capabilities.forget()
        assert await token(capabilities) == "token-2"


@given(st.floats(0.05, 0.9), st.floats(0.0, 0.09), st.floats(0.0, 0.999), st.floats(5.0, 300.0))
@settings(max_examples=50, deadline=None)
def test_a_renewal_always_falls_within_the_life(fraction: float, jitter: float, chance: float, life: float) -> None:
    async def run() -> None:
        issuer = Issuer(life)
        async with issuer.kept(fraction=fraction, jitter=jitter, chance=lambda: chance) as capabilities:
            await token(capabilities)
            [kept] = capabilities._kept.values()
            assert (fraction - jitter) * life - 1e-6 <= kept.renew_at <= kept.ends_at < life

    asyncio.run(run())


@pytest.mark.parametrize(
    "options",
    [{"fraction": 0.0}, {"fraction": 1.0}, {"fraction": 0.9, "jitter": 0.1}, {"capacity": 0}, {"margin_seconds": -1.0}],
)
def test_numbers_that_cannot_be_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="within its life"):
        Issuer().kept(**options)


def test_the_sync_face_shares_one_real_capability_between_threads(enrol: Callable[..., Member]) -> None:
    consumer = enrol("consumer")
    before = set(threading.enumerate())
    with SyncCapabilities(consumer.plane) as capabilities, ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(capabilities.get, "inference", RESOURCE, "gateway-1", CONTEXT) for _ in range(16)]
        assert len({call.result().require().access_token for call in calls}) == 1
        capabilities.forget()
        another = capabilities.get("inference", RESOURCE, "gateway-1", CONTEXT).require()
        assert another.access_token != calls[0].result().require().access_token
    consumer.plane.close()
    assert set(threading.enumerate()) <= before
