"""What was let through goes on for as long as its capability holds, and no longer."""

import pytest

from adapters.web.admission import Admitted
from controlplane.capabilities.revocations import RevocationState, Standing
from controlplane.contracts.capability import CapabilityClaims
from controlplane.contracts.events import Revocation
from tests.adapters.web.conftest import Endpoint, guarding


class Known:
    """Revocations that a test holds in its hands."""

    def __init__(self) -> None:
        self.state = RevocationState(lambda: 1_767_225_600.0, lambda: 0.0)

    def standing(self, claims: CapabilityClaims, kid: str) -> Standing:
        return self.state.standing(claims, kid)

    async def start(self, _wait_seconds: float = 0.0) -> bool:
        self.state.hear()
        return True

    async def close(self) -> None:
        return None


async def let_through(endpoint: Endpoint) -> Admitted:
    assert (await endpoint.call(endpoint.issuer.mint(endpoint.device, ttl=60.0))).status == 200
    return endpoint.seen[-1]


@pytest.mark.parametrize("kind", ["capability", "subject", "key"])
async def test_what_is_revoked_has_lapsed_and_nothing_else_has(kind: str) -> None:
    known = Known()
    async with guarding("aiohttp", revocations=known) as endpoint:
        admitted = await let_through(endpoint)
        claims, key = admitted.claims, endpoint.issuer.keys[0].kid
        for value, lapse in (
            ("other", None),
            ({"capability": claims.jti, "subject": claims.sub, "key": key}[kind], "revoked"),
        ):
            now = endpoint.clock()
            known.state.add(Revocation(kind=kind, value=value, revoked_at=now, expires_at=now + 600))  # type: ignore[arg-type]
            assert endpoint.point.lapsed(admitted) == lapse


async def test_it_has_lapsed_at_its_end_and_while_nobody_knows_of_revocations() -> None:
    known = Known()
    async with guarding("aiohttp", revocations=known) as endpoint:
        admitted = await let_through(endpoint)
        assert endpoint.point.lapsed(admitted) is None
        known.state.doubt()
        assert endpoint.point.lapsed(admitted) == "revocations_unknown"
        known.state.hear()
        endpoint.clock.now += 60.0
        assert endpoint.point.lapsed(admitted) == "expired"


async def test_one_of_which_the_key_is_not_known_holds_no_longer_where_revocations_are_followed() -> None:
    async with guarding("aiohttp", revocations=Known()) as endpoint:
        admitted = await let_through(endpoint)
        unknown = Admitted(admitted.claims, admitted.named, admitted.rule)
        assert endpoint.point.lapsed(unknown) == "revocations_unknown"
    async with guarding("aiohttp") as endpoint:
        assert endpoint.point.lapsed(await let_through(endpoint)) is None, "nothing is followed: it lives to its end"
