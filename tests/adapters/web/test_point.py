"""What a guarded endpoint does for those who may: under aiohttp and under uvicorn alike."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.web import EnforcementPoint, Rule
from adapters.web.admission import Admitted
from adapters.web.answering import Refusal
from adapters.web.presented import Asked
from controlplane.capabilities.revocations import RevocationState
from controlplane.contracts.events import Revocation
from controlplane.jose.keys import SigningKey, jwks
from tests.adapters.web.conftest import DIGEST, RULES, START, Endpoint, guarding
from tests.clocks import Clock


async def test_a_holder_is_let_through_and_the_application_knows_whom_it_serves(endpoint: Endpoint) -> None:
    token = endpoint.issuer.mint(endpoint.device, max_output_tokens=7, detail="label_only")
    reply = await endpoint.call(token, body=b"hello")
    assert (reply.status, reply.body) == (200, b"w" * 500)
    [admitted] = endpoint.seen
    assert admitted.subject == f"dev-{endpoint.device.thumbprint}"
    assert (admitted.limits.max_output_tokens, admitted.shows_detail) == (7, False)
    assert endpoint.outcomes == {("inference", "allowed"): 1}


async def test_the_path_names_the_resource_and_the_weights(endpoint: Endpoint) -> None:
    token = endpoint.issuer.mint(endpoint.device, "model_access", "encoder", model_digest=DIGEST, purpose="serving")
    assert (await endpoint.call(token, "GET", f"/models/encoder/{DIGEST}")).status == 200
    assert endpoint.seen[0].named == ("encoder", None, DIGEST)
    other = DIGEST.replace("d", "e")
    assert (await endpoint.call(token, "GET", f"/models/encoder/{other}")).status == 403
    assert (await endpoint.call(token, "GET", f"/models/intents/{DIGEST}")).status == 403
    assert (await endpoint.call(token, "GET", "/models/encoder/latest")).status == 404


@pytest.mark.parametrize(
    "limits", [{"purpose": "serving"}, {"model_digest": DIGEST}, {"model_digest": DIGEST, "purpose": "training"}]
)
async def test_a_pull_that_is_wider_than_the_path_does_not_hold(endpoint: Endpoint, limits: dict[str, Any]) -> None:
    token = endpoint.issuer.mint(endpoint.device, "model_access", "encoder", **limits)
    assert (await endpoint.call(token, "GET", f"/models/encoder/{DIGEST}")).status == 403
    assert endpoint.seen == []


async def test_who_shows_nothing_is_told_what_to_show(endpoint: Endpoint) -> None:
    reply = await endpoint.send("POST", "/v1/infer")
    assert (reply.status, reply.challenge) == (401, 'DPoP algs="ES256"')
    assert reply.json["type"] == "urn:ztfm:problem:unauthenticated"
    assert reply.headers["cache-control"] == "no-store"


async def test_an_exempt_path_is_everybodys_and_only_that_one(endpoint: Endpoint) -> None:
    assert (await endpoint.send("GET", "/healthz")).status == 200
    assert (await endpoint.send("GET", "/healthz?x=1")).status == 200
    assert (await endpoint.send("GET", "/healthz/x")).status == 404
    assert endpoint.seen == []


async def test_an_answer_ends_where_the_capability_does(endpoint: Endpoint) -> None:
    path = f"/models/encoder/{DIGEST}"
    for limit, status in [(499, 403), (500, 200)]:
        limits = {"purpose": "serving", "model_digest": DIGEST, "max_bytes": limit}
        token = endpoint.issuer.mint(endpoint.device, "model_access", "encoder", **limits)
        reply = await endpoint.call(token, "GET", path)
        assert (reply.status, b"www" in reply.body) == (status, status == 200)


async def test_keys_are_fetched_once_while_they_are_fresh(endpoint: Endpoint) -> None:
    token = endpoint.issuer.mint(endpoint.device)
    for _ in range(5):
        assert (await endpoint.call(token)).status == 200
    assert endpoint.issuer.fetched == 1


async def test_a_shared_memory_of_uses_decides_over_one_process() -> None:
    used: set[str] = set()

    async def first_use(jti: str, expires_at: float) -> bool:
        assert expires_at > 0
        is_first = jti not in used
        used.add(jti)
        return is_first

    async with (
        guarding("aiohttp", first_use=first_use) as one,
        guarding("asgi", one.issuer, first_use=first_use) as two,
    ):
        two.device = one.device
        token = one.issuer.mint(one.device, "gradient_submission", round_id="r1", one_time=True)
        assert (await one.call(token, path="/rounds/r1")).status == 200
        assert (await two.call(token, path="/rounds/r1")).status == 409
        assert two.seen == []


class Following(RevocationState):
    """What is known of revocations, told by the test instead of by a stream."""

    async def start(self, wait_seconds: float = 0.0) -> bool:
        return self.is_current

    async def close(self) -> None:
        self.doubt()


async def test_without_word_of_revocations_nothing_is_let_through_and_what_is_revoked_never() -> None:
    following = Following(Clock(), lambda: 0.0)
    async with guarding("asgi", revocations=following) as endpoint:
        token = endpoint.issuer.mint(endpoint.device)
        assert (await endpoint.call(token)).status == 503
        following.hear()
        assert (await endpoint.call(token)).status == 200
        subject = f"dev-{endpoint.device.thumbprint}"
        following.add(Revocation(kind="subject", value=subject, revoked_at=START + 1, expires_at=START + 500))
        assert (await endpoint.call(token)).status == 401
        assert endpoint.outcomes["inference", "revoked"] == 1
    assert not following.is_current


@pytest.mark.parametrize(("segment", "status"), [("homes", 200), ("guests", 403), (None, 403)])
async def test_an_endpoint_of_one_segment_takes_capabilities_for_that_one_alone(
    segment: str | None, status: int
) -> None:
    async with guarding("aiohttp", segment="homes") as endpoint:
        reply = await endpoint.call(endpoint.issuer.mint(endpoint.device, segment=segment))
        assert reply.status == status


async def test_a_withdrawn_key_is_trusted_no_more_once_the_set_is_stale() -> None:
    async with guarding("aiohttp") as endpoint:
        timer = _freeze(endpoint.point)
        token = endpoint.issuer.mint(endpoint.device)
        assert (await endpoint.call(token)).status == 200
        endpoint.issuer.keys = [SigningKey.generate()]
        timer[0] += 61.0
        await endpoint.call(token)
        await asyncio.sleep(0.2)
        assert (await endpoint.call(token)).status == 401


async def test_without_keys_nothing_is_let_through_and_the_answer_says_so() -> None:
    async with guarding("aiohttp", trusted_seconds=900.0) as endpoint:
        timer = _freeze(endpoint.point)
        token = endpoint.issuer.mint(endpoint.device, ttl=300.0)
        endpoint.issuer.is_reachable = False
        timer[0] += 899.0
        assert (await endpoint.call(token)).status == 200
        timer[0] += 2.0
        reply = await endpoint.call(token)
        assert (reply.status, reply.json["type"]) == (503, "urn:ztfm:problem:unavailable")
        endpoint.issuer.is_reachable = True
        timer[0] += 6.0
        assert (await endpoint.call(token)).status == 200


def _freeze(point: EnforcementPoint) -> list[float]:
    """Let the test move the timer of the keys."""
    timer = [point._keys._timer()]
    point._keys._timer = lambda: timer[0]
    return timer


_NOISE = st.text(st.characters(max_codepoint=255), max_size=60)
_SCHEMES = st.sampled_from(["DPoP {}", "Bearer {}", "dpop {}", "{}", "DPoP {}, DPoP {}"])
_VALUES = st.lists(st.builds(str.format, _SCHEMES, _NOISE, _NOISE) | _NOISE, max_size=3)
_NAMES = st.sampled_from(["authorization", "dpop", "content-length", "transfer-encoding", "host"])


@given(
    method=st.sampled_from(["GET", "POST", "HEAD", "OPTIONS"]) | _NOISE,
    path=st.sampled_from(["/v1/infer", "/rounds/r1", f"/models/a/{DIGEST}"]) | _NOISE,
    headers=st.dictionaries(_NAMES, _VALUES),
    certificate=st.none() | _NOISE,
)
@settings(max_examples=300, deadline=None)
def test_whatever_is_sent_is_refused_and_raises_nothing(
    method: str, path: str, headers: dict[str, list[str]], certificate: str | None
) -> None:
    verdict = asyncio.run(_fuzzed(Asked(method, path, headers, certificate)))
    assert isinstance(verdict, Refusal)
    assert 400 <= verdict.status < 500, verdict
    assert json.loads(verdict.body)["status"] == verdict.status


async def _fuzzed(asked: Asked) -> object:
    point = EnforcementPoint("https://control.example", audience="a", public_url="https://models.example", rules=RULES)
    point._verifier.update_keys(jwks([_KEY]))
    point._keys._clock.came(point._keys._timer(), 60.0)
    point._keys._clock.asked(point._keys._timer())
    try:
        return await point.check(asked)
    finally:
        await point.close()


_KEY = SigningKey.generate()


@pytest.mark.parametrize(
    "options",
    [
        {"audience": "two words"},
        {"rules": ()},
        {"public_url": "models.example"},
        {"public_url": "https://models.example/?a"},
        {"exempt": {"healthz"}},
        {"exempt": {"/a/../b"}},
    ],
)
def test_a_point_that_cannot_be_is_refused_at_once(options: dict[str, Any]) -> None:
    given = {"audience": "a", "public_url": "https://models.example", "rules": RULES, **options}
    with pytest.raises(ValueError, match=r"audience|rules|URL|path"):
        EnforcementPoint("https://control.example", **given)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"resource": "a", "path": "/{resource}"},
        {"path": "/x"},
        {"resource": "a b"},
        {"resource": "a", "path": "x"},
        {"resource": "a", "path": "/x//y"},
        {"path": "/{resource}/{resource}"},
        {"path": "/{resource}/{digest}", "digest": DIGEST},
    ],
)
def test_a_rule_that_cannot_be_is_refused_at_once(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"rule|identifier|path"):
        Rule("inference", **options)


def test_what_was_admitted_is_a_value() -> None:
    assert Admitted.__dataclass_params__.frozen  # type: ignore[attr-defined]
