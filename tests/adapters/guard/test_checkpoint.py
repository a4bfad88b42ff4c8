"""The offline verifier with an issuer of its own: what a policy's mistake must not open."""

import time
from collections.abc import Mapping
from typing import Any

import pytest

from adapters.credentials import PULL, SUBMIT, Credentials, RoundTerms, subject_of, target
from adapters.errors import Unavailable
from adapters.guard.checkpoint import KEYS_KEPT_SECONDS, MARGIN_SECONDS, REFRESH_SECONDS, Checkpoint
from adapters.keys import TRUSTED_SECONDS
from controlplane.capabilities.minting import Minter
from controlplane.capabilities.proof import make_proof
from controlplane.capabilities.refusals import Refused
from controlplane.contracts.capability import AuthorizationDetail, CapabilityClaims, Constraints
from controlplane.jose.keys import DeviceKey, SigningKey, jwks

SIZE = 1000
DIGEST = "sha256:" + "d" * 64
TERMS = RoundTerms("run-1", "smart-home-intents", DIGEST, "aggregator-1")
ISSUER = "http://issuer.test"


class Issuer:
    """Mints what it is told to, and publishes its keys when it is reachable."""

    def __init__(self) -> None:
        self.now = time.time()
        self.key = SigningKey.generate()
        self.device = DeviceKey.generate()
        self.is_reachable = True
        self.published: Mapping[str, Any] = jwks([self.key])
        self.fetched = 0
        self.checkpoint = Checkpoint(self.keys, ISSUER, TERMS.audience, self.clock)

    def clock(self) -> float:
        return self.now

    def keys(self) -> Mapping[str, Any]:
        self.fetched += 1
        if not self.is_reachable:
            raise Unavailable("away")
        return self.published

    def show(self, method: str, limits: Constraints, *, seconds: float = 60.0) -> Credentials:
        """Return credentials with these limits, and a proof as it should be."""
        action = "model_access" if method == PULL else "gradient_submission"
        detail = AuthorizationDetail(
            type="ztfm", action=action, resource_type="model", resource_id=TERMS.model, constraints=limits
        )
        subject = subject_of(self.device.thumbprint)
        minter = Minter(lambda: self.key, ISSUER, self.clock)
        token, _ = minter.mint(subject, self.device.thumbprint, TERMS.audience, detail, "dec-1", "r", seconds)
        digest = DIGEST if method == SUBMIT else None
        url = target(TERMS.audience, TERMS.round_id)
        proof = make_proof(self.device, method=method, url=url, now=self.now, access_token=token, digest=digest)
        return Credentials(subject, token, proof)

    def pull(self, limits: Constraints) -> CapabilityClaims | Refused:
        return self.checkpoint.pull(self.show(PULL, limits), TERMS, size_bytes=SIZE)


GOOD = Constraints(round_id="run-1", model_digest=DIGEST, purpose="training")
ONCE = Constraints(round_id="run-1", one_time=True)


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


def cause_of(found: CapabilityClaims | Refused) -> str:
    return found.cause if isinstance(found, Refused) else ""


def test_a_pull_as_it_should_be_holds(issuer: Issuer) -> None:
    assert cause_of(issuer.pull(GOOD)) == ""


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"purpose": "serving"}, "wrong_action"),
        ({"purpose": None}, "wrong_action"),
        ({"model_digest": None}, "wrong_digest"),
        ({"model_digest": "sha256:" + "e" * 64}, "wrong_digest"),
        ({"round_id": None}, "wrong_round"),
        ({"round_id": "run-2"}, "wrong_round"),
    ],
)
def test_a_pull_that_is_wider_than_the_round_does_not_hold(issuer: Issuer, change: dict[str, Any], cause: str) -> None:
    assert cause_of(issuer.pull(GOOD.model_copy(update=change))) == cause


@pytest.mark.parametrize(("most", "cause"), [(SIZE, ""), (SIZE - 1, "too_large")])
def test_what_is_larger_than_a_capability_allows_is_refused(issuer: Issuer, most: int, cause: str) -> None:
    assert cause_of(issuer.pull(GOOD.model_copy(update={"max_bytes": most}))) == cause
    once = ONCE.model_copy(update={"max_bytes": most})
    assert cause_of(issuer.checkpoint.submission(issuer.show(SUBMIT, once), TERMS, DIGEST, SIZE)) == cause


@pytest.mark.parametrize(("segment", "cause"), [("homes", ""), ("guests", "wrong_segment"), (None, "wrong_segment")])
def test_a_point_takes_devices_of_its_segment_alone(issuer: Issuer, segment: str | None, cause: str) -> None:
    issuer.checkpoint = Checkpoint(issuer.keys, ISSUER, TERMS.audience, issuer.clock, segment="homes")
    assert cause_of(issuer.pull(GOOD.model_copy(update={"segment": segment}))) == cause


def test_a_submission_must_be_for_one_use(issuer: Issuer) -> None:
    again = ONCE.model_copy(update={"one_time": False})
    assert cause_of(issuer.checkpoint.submission(issuer.show(SUBMIT, ONCE), TERMS, DIGEST, SIZE)) == ""
    assert cause_of(issuer.checkpoint.submission(issuer.show(SUBMIT, again), TERMS, DIGEST, SIZE)) == "malformed"


def test_a_proof_is_as_long_good_as_its_capability(issuer: Issuer) -> None:
    shown = issuer.show(SUBMIT, ONCE, seconds=300.0)
    issuer.now += 299.0
    assert cause_of(issuer.checkpoint.submission(shown, TERMS, DIGEST, SIZE)) == ""
    late = issuer.show(SUBMIT, ONCE, seconds=300.0)
    issuer.now += 300.0
    assert cause_of(issuer.checkpoint.submission(late, TERMS, DIGEST, SIZE)) == "expired"


def test_credentials_are_stale_a_while_before_they_expire(issuer: Issuer) -> None:
    shown = issuer.show(SUBMIT, ONCE, seconds=60.0)
    issuer.now += 60.0 - MARGIN_SECONDS - 1.0
    assert not issuer.checkpoint.is_stale(shown)
    issuer.now += 2.0
    assert issuer.checkpoint.is_stale(shown)


@pytest.mark.parametrize(
    "payload", [b"{}", b"[]", b'{"exp": "soon"}', b'{"exp": true}', b"\xff", b'{"exp": 1, "exp": 2}']
)
def test_a_token_that_says_nothing_of_its_end_is_not_stale(issuer: Issuer, payload: bytes) -> None:
    token = issuer.device.sign(b"e30", payload)
    assert not issuer.checkpoint.is_stale(Credentials("dev-x", token, ""))


def test_a_key_that_is_no_longer_published_is_no_longer_trusted(issuer: Issuer) -> None:
    assert cause_of(issuer.pull(GOOD)) == ""
    issuer.published = jwks([SigningKey.generate()])
    assert cause_of(issuer.pull(GOOD)) == ""
    issuer.now += KEYS_KEPT_SECONDS
    assert cause_of(issuer.pull(GOOD)) == "unknown_key"


@pytest.mark.parametrize("spoilt", [{}, {"keys": "none"}, {"keys": [{"kty": "EC", "crv": "P-256", "d": "secret"}]}])
def test_keys_that_cannot_be_had_leave_those_in_use(issuer: Issuer, spoilt: Mapping[str, Any]) -> None:
    assert cause_of(issuer.pull(GOOD)) == ""
    issuer.published = spoilt
    issuer.now += KEYS_KEPT_SECONDS
    assert cause_of(issuer.pull(GOOD)) == ""
    issuer.is_reachable = False
    issuer.now += KEYS_KEPT_SECONDS
    assert cause_of(issuer.pull(GOOD)) == ""


def test_keys_that_cannot_be_had_for_too_long_are_trusted_no_more(issuer: Issuer) -> None:
    assert cause_of(issuer.pull(GOOD)) == ""
    issuer.is_reachable = False
    issuer.now += TRUSTED_SECONDS - 1.0
    assert cause_of(issuer.pull(GOOD)) == ""
    issuer.now += 1.0
    assert cause_of(issuer.pull(GOOD)) == "unknown_key"
    issuer.is_reachable = True
    issuer.now += REFRESH_SECONDS
    assert cause_of(issuer.pull(GOOD)) == ""


def test_without_any_keys_nothing_holds_and_the_issuer_is_not_pressed(issuer: Issuer) -> None:
    issuer.is_reachable = False
    for _ in range(5):
        assert cause_of(issuer.pull(GOOD)) == "unknown_key"
    assert issuer.fetched == 1
    issuer.is_reachable = True
    issuer.now += 6.0
    assert cause_of(issuer.pull(GOOD)) == ""
