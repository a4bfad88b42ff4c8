"""Enforcement points that keep the key set for as long as they may never meet a capability that they cannot verify."""

import asyncio
import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from controlplane.api.wellknown import MAX_AGE_SECONDS
from controlplane.capabilities.keykeeping import KeyKeeper, Schedule
from controlplane.capabilities.minting import Minter
from controlplane.capabilities.verification import CapabilityVerifier
from controlplane.contracts.capability import AuthorizationDetail, CapabilityClaims, Constraints
from controlplane.jose.keys import DeviceKey, jwks
from controlplane.settings import Settings
from tests.controlplane.capabilities.keyrings import MemoryKeys, keeper

START = 1_767_225_600.0
STEP_SECONDS = 2
"""A point without a key stays so until it fetches the set again, up to a minute later: no gap fits in between."""

ISSUER = "https://control.example"
DEVICE = DeviceKey.generate().thumbprint
DETAIL = AuthorizationDetail(
    type="ztfm", action="inference", resource_type="model", resource_id="m", constraints=Constraints()
)


@dataclass
class Clock:
    now: float = START
    ahead: float = 0.0

    def __call__(self) -> float:
        return self.now + self.ahead


@dataclass
class Replica:
    """One control plane: its own clock, its own view of the store, read at its own moments."""

    clock: Clock
    keys: KeyKeeper
    minter: Minter = field(init=False)

    def __post_init__(self) -> None:
        self.minter = Minter(self.keys.ring.current, ISSUER, self.clock)

    def mint(self, seconds: float) -> str:
        return self.minter.mint("dev-1", DEVICE, "pep", DETAIL, "dec-1", "rev", seconds)[0]

    def published(self) -> dict[str, Any]:
        return jwks(self.keys.ring.verifying())


@dataclass
class Point:
    """An enforcement point: fetches the key set from some replica, and not again while it may keep it."""

    clock: Clock
    verifier: CapabilityVerifier
    kept_until: float = 0.0

    def keep_up(self, replica: Replica) -> None:
        if self.clock() >= self.kept_until:
            self.verifier.update_keys(replica.published())
            self.kept_until = self.clock() + MAX_AGE_SECONDS

    def cause(self, token: str) -> str:
        found = self.verifier.inspect(token, action="inference")
        return "" if isinstance(found, CapabilityClaims) else found.cause


async def simulate(seed: int, hours: float, schedule: Schedule, *, skew: float = 0.0) -> tuple[int, set[str], int]:
    """Run replicas and points for hours; return what was verified, the causes of refusals, and the keys that signed."""
    chance, store = random.Random(seed), MemoryKeys()
    clocks = [Clock(ahead=chance.uniform(-skew, skew)) for _ in range(3)]
    replicas = [Replica(clock, keeper(store, clock, schedule=schedule)) for clock in clocks]
    for replica in replicas:
        await replica.keys.open()
    points = [Point(Clock(), CapabilityVerifier(replicas[0].published(), ISSUER, "pep", Clock())) for _ in range(3)]
    for point in points:
        point.verifier._clock = point.clock
    due: list[tuple[float, str]] = []
    verified, causes, signers = 0, set(), set()
    for second in range(0, int(hours * 3600), STEP_SECONDS):
        now = START + second + chance.random() * 0.01
        for clock in (*clocks, *(point.clock for point in points)):
            clock.now = now
        for replica in replicas:
            await replica.keys.refresh()
            if chance.random() < 0.002 * STEP_SECONDS:
                await replica.keys.rotate()
        for point in points:
            point.keep_up(chance.choice(replicas))
        minted = chance.choice(replicas)
        signers.add(minted.keys.ring.current().kid)
        due += [(now + lives - skew - 0.1, minted.mint(lives)) for lives in (5.0, 60.0, 300.0)]
        fresh = due[-1][1]
        for token in (fresh, *(token for at, token in due if at <= now)):
            causes |= {point.cause(token) for point in points}
            verified += len(points)
        due = [(at, token) for at, token in due if at > now]
    return verified, causes - {"", "not_yet_valid", "expired"}, len(signers)


@pytest.mark.parametrize("seed", [1, 2])
async def test_no_gap_over_many_rotations_by_schedule_and_by_command(seed: int) -> None:
    verified, causes, signers = await simulate(seed, 0.45, Schedule(600.0, 120.0))
    assert causes == set()
    assert signers >= 4
    assert verified > 5_000


async def test_no_gap_when_clocks_differ_by_half_a_minute() -> None:
    verified, causes, signers = await simulate(3, 0.4, Schedule(600.0, 120.0), skew=14.0)
    assert causes == set()
    assert signers >= 3
    assert verified > 5_000


async def test_an_overlap_that_is_shorter_than_the_cache_would_leave_a_gap() -> None:
    _, causes, _ = await simulate(1, 0.2, Schedule(300.0, 30.0))
    assert causes == {"unknown_key"}


def test_the_overlap_is_at_least_twice_as_long_as_the_key_set_may_be_kept() -> None:
    assert Settings.model_fields["key_overlap_seconds"].default >= 2 * MAX_AGE_SECONDS
    with pytest.raises(ValueError, match="greater than or equal to 120"):
        Settings(key_overlap_seconds=119.0)
    with pytest.raises(ValueError, match="at least twice"):
        Settings(signing_key_days=0.01, key_overlap_seconds=500.0)


async def test_replicas_that_rotate_at_once_agree_on_one_key() -> None:
    store, clock = MemoryKeys(), Clock()
    replicas = [keeper(store, clock) for _ in range(5)]
    await asyncio.gather(*(keys.open() for keys in replicas))
    following = await asyncio.gather(*(keys.rotate() for keys in replicas))
    assert len({item.kid for item in following}) == 1
    assert len(store.kept) == 2
