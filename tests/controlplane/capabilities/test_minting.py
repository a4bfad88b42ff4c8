import math
from typing import Any

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.contracts.capability import Capability
from controlplane.jose.keys import jwks
from tests.controlplane.capabilities.conftest import World


def test_a_capability_is_an_access_token_that_others_can_verify(world: Any) -> None:
    token, claims = world.mint(one_time=True)
    key = jwt.PyJWKSet.from_dict(jwks([world.signing]))[world.signing.kid]
    read = jwt.decode(
        token, key, algorithms=["ES256"], audience="aggregator-1", options={"verify_exp": False, "verify_iat": False}
    )
    assert jwt.get_unverified_header(token) == {"alg": "ES256", "typ": "at+jwt", "kid": world.signing.kid}
    assert read["cnf"] == {"jkt": world.device.thumbprint}
    assert read["authorization_details"][0]["constraints"] == {"round_id": "r1", "one_time": True}
    assert read["client_id"] == read["sub"] == claims.sub


@pytest.mark.parametrize(("asked", "given_"), [(0.5, 5.0), (5.0, 5.0), (60.0, 60.0), (300.0, 300.0), (1e9, 300.0)])
def test_the_lifetime_is_brought_into_its_bounds(world: Any, asked: float, given_: float) -> None:
    _, claims = world.mint(ttl=asked)
    assert claims.exp - claims.iat == given_


@pytest.mark.parametrize("ttl", [0.0, -1.0, math.nan, math.inf, -math.inf])
def test_a_lifetime_that_is_not_positive_mints_nothing(world: Any, ttl: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        world.mint(ttl=ttl)


@settings(max_examples=50, deadline=None)
@given(now=st.floats(0.0, 4e9), ttl=st.floats(1e-3, 1e6))
def test_the_lifetime_always_fits_the_answer_that_hands_it_out(now: float, ttl: float) -> None:
    world = World()
    world.clock.now = now
    token, claims = world.mint(ttl=ttl)
    Capability(access_token=token, expires_in=claims.exp - claims.iat, decision_id="dec-1", policy_revision="r")
    assert claims.iat <= now < claims.iat + 0.001
    assert world.verify(token) == claims


def test_no_two_capabilities_share_an_identifier(world: Any) -> None:
    assert len({world.mint()[1].jti for _ in range(200)}) == 200
