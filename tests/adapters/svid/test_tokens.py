"""A token is asked for once for each audience, and again before it runs out; a denial leaves none."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from adapters.errors import Forbidden
from adapters.plane import ControlPlane as Client
from adapters.svid import JwtSvidSource, SpiffeId, TrustBundle, verify_jwt_svid
from adapters.svid.tokens import AUDIENCES
from controlplane.contracts.svids import IssuedJwtSvid
from tests.clocks import Clock
from tests.support import ControlPlane


@dataclass
class Plane:
    """Issues numbered tokens; says no where it is told to."""

    clock: Clock = field(default_factory=Clock)
    asked: list[str] = field(default_factory=list)
    denies: bool = False

    async def jwt_svid(self, audience: Sequence[str], lifetime_seconds: float = 300.0) -> IssuedJwtSvid:
        await asyncio.sleep(0)
        if self.denies:
            raise Forbidden("quarantined", status=403)
        self.asked += audience
        expires_at = self.clock() + lifetime_seconds
        return IssuedJwtSvid(svid=f"token-{len(self.asked)}", spiffe_id="spiffe://a/b", expires_at=expires_at)


def source() -> tuple[Plane, JwtSvidSource]:
    plane = Plane()
    return plane, JwtSvidSource(plane, clock=plane.clock)


async def test_many_who_ask_at_once_get_one_token_of_their_audience() -> None:
    plane, tokens = source()
    found = await asyncio.gather(*(tokens.get("reports") for _ in range(20)), tokens.get("billing"))
    assert set(found[:-1]) == {"token-1"}
    assert found[-1] == "token-2"
    assert plane.asked == ["reports", "billing"]


async def test_it_is_replaced_at_half_of_its_life() -> None:
    plane, tokens = source()
    first = await tokens.get("reports")
    plane.clock.now += 149.0
    assert await tokens.get("reports") == first
    plane.clock.now += 1.0
    assert await tokens.get("reports") != first


async def test_a_denial_leaves_none() -> None:
    plane, tokens = source()
    await tokens.get("reports")
    plane.clock.now += 200.0
    plane.denies = True
    for _ in range(2):
        with pytest.raises(Forbidden):
            await tokens.get("reports")
    plane.denies = False
    assert await tokens.get("reports") == "token-2"


async def test_few_audiences_are_kept() -> None:
    plane, tokens = source()
    for number in range(AUDIENCES + 1):
        await tokens.get(f"audience-{number}")
    await tokens.get(f"audience-{AUDIENCES}")
    await tokens.get("audience-0")
    assert plane.asked.count("audience-0") == 2
    assert plane.asked.count(f"audience-{AUDIENCES}") == 1


async def test_what_a_real_control_plane_issues_is_verified_by_its_bundle(plane: ControlPlane) -> None:
    trainer = plane.enrol("trainer")
    async with Client(plane.url, trainer.key) as client:
        token = await JwtSvidSource(client).get("aggregator-1")
        name = SpiffeId.parse((await client.certificate()).spiffe_id)
        bundle = TrustBundle.parse(await client.trust_bundle(), name.domain)
    assert verify_jwt_svid(token, bundle, "aggregator-1", plane.clock).subject == name
