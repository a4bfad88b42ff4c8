from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.capabilities.refusals import Refused
from controlplane.capabilities.revocations import RevocationState, subject_expiry
from controlplane.capabilities.verification import CapabilityVerifier
from controlplane.contracts.capability import CapabilityClaims
from controlplane.contracts.events import (
    REACH_SECONDS,
    CredentialChange,
    DeviceComplianceChange,
    Events,
    JwtSubject,
    OpaqueSubject,
    Reset,
    Revocation,
    SecurityEvent,
    SessionRevoked,
)
from controlplane.jose.keys import jwks
from tests.clocks import Clock
from tests.controlplane.capabilities.conftest import AUDIENCE, ISSUER, START, World

KID = "k" * 43


class Hands:
    """A world with a state of revocations, and the hands of both clocks."""

    def __init__(self, world: World, **options: Any) -> None:
        self.world = world
        self.timer = Clock(0.0)
        self.state = RevocationState(world.clock, self.timer, **options)
        self.state.hear()

    def mint(self, **options: Any) -> CapabilityClaims:
        return self.world.mint(**options)[1]

    def move(self, seconds: float) -> None:
        self.world.clock.now += seconds
        self.timer.now += seconds
        self.state.hear()


@pytest.fixture
def hands(world: World) -> Hands:
    return Hands(world)


def opaque(name: str) -> OpaqueSubject:
    return OpaqueSubject(format="opaque", id=name)


def about(sub_id: Any, **events: Any) -> SecurityEvent:
    return SecurityEvent(txn="txn-1", sub_id=sub_id, events=Events(**events))


def ended(claims: CapabilityClaims, at: float) -> SecurityEvent:
    return about(opaque(claims.sub), session_revoked=SessionRevoked(event_timestamp=at))


def test_one_capability_is_void_and_no_other(hands: Hands) -> None:
    doomed, other = hands.mint(), hands.mint()
    subject = JwtSubject(format="jwt_id", iss=ISSUER, jti=doomed.jti)
    hands.state.apply(about(subject, session_revoked=SessionRevoked(event_timestamp=hands.world.clock())))
    assert hands.state.standing(doomed, KID) == "revoked"
    assert hands.state.standing(other, KID) == "good"


def test_all_that_a_subject_holds_is_void_and_what_it_gets_later_is_good(hands: Hands) -> None:
    before = hands.mint()
    hands.state.apply(ended(before, hands.world.clock()))
    hands.move(REACH_SECONDS)
    at_reach = hands.mint()
    hands.move(0.01)
    later = hands.mint()
    assert [hands.state.standing(one, KID) for one in (before, at_reach, later)] == ["revoked", "revoked", "good"]


@pytest.mark.parametrize(
    ("event", "standing"),
    [
        (
            DeviceComplianceChange(event_timestamp=START, previous_status="compliant", current_status="not-compliant"),
            "revoked",
        ),
        (
            DeviceComplianceChange(event_timestamp=START, previous_status="not-compliant", current_status="compliant"),
            "good",
        ),
        (CredentialChange(event_timestamp=START, credential_type="device-key", change_type="revoke"), "revoked"),
        (CredentialChange(event_timestamp=START, credential_type="x509", change_type="delete"), "revoked"),
        (CredentialChange(event_timestamp=START, credential_type="x509", change_type="create"), "good"),
        (CredentialChange(event_timestamp=START, credential_type="device-key", change_type="update"), "revoked"),
        (CredentialChange(event_timestamp=START, credential_type="x509", change_type="update"), "good"),
    ],
)
def test_which_events_end_what_a_subject_holds(hands: Hands, event: Any, standing: str) -> None:
    held = hands.mint()
    name = "credential_change" if isinstance(event, CredentialChange) else "device_compliance_change"
    hands.state.apply(about(opaque(held.sub), **{name: event}))
    assert hands.state.standing(held, KID) == standing


def test_whatever_a_withdrawn_key_signed_is_void_whenever_it_says_that_it_was_issued(hands: Hands) -> None:
    gone = CredentialChange(event_timestamp=START, credential_type="signing-key", change_type="revoke")
    hands.state.apply(about(opaque(KID), credential_change=gone))
    hands.move(3600.0)
    held = hands.mint()
    assert hands.state.standing(held, KID) == "revoked"
    assert hands.state.standing(held, "other") == "good"


def test_a_new_signing_key_makes_nothing_void(hands: Hands) -> None:
    made = CredentialChange(event_timestamp=START, credential_type="signing-key", change_type="create")
    hands.state.apply(about(opaque(KID), credential_change=made))
    assert hands.state.standing(hands.mint(), KID) == "good"


def test_nothing_is_good_before_the_first_word_nor_after_a_long_silence(hands: Hands) -> None:
    state = RevocationState(hands.world.clock, hands.timer, max_silence_seconds=10.0)
    held = hands.mint()
    assert state.standing(held, KID) == "unknown"
    state.hear()
    assert state.standing(held, KID) == "good"
    hands.timer.now += 10.0
    assert state.standing(held, KID) == "good"
    hands.timer.now += 0.01
    assert state.standing(held, KID) == "unknown"
    state.hear(age_seconds=9.0)
    hands.timer.now += 1.5
    assert state.standing(held, KID) == "unknown"
    state.hear()
    state.doubt()
    assert state.standing(held, KID) == "unknown"


def test_silence_hides_no_revocation(hands: Hands) -> None:
    held = hands.mint()
    hands.state.apply(ended(held, START))
    hands.timer.now += 3600.0
    assert hands.state.standing(held, KID) == "revoked"


def test_after_a_reset_only_what_is_issued_later_is_good(hands: Hands) -> None:
    before = hands.mint()
    hands.state.apply(about(opaque("events"), reset=Reset(event_timestamp=hands.world.clock())))
    hands.move(1.0)
    assert hands.state.standing(before, KID) == "unknown"
    assert hands.state.standing(hands.mint(), KID) == "good"


def test_a_revocation_is_forgotten_when_no_capability_that_it_concerns_can_live(hands: Hands) -> None:
    held = hands.mint(ttl=300.0)
    hands.state.apply(ended(held, START))
    hands.move(subject_expiry(START) - START - 0.01)
    hands.state.apply(ended(held.model_copy(update={"sub": "dev-other"}), hands.world.clock()))
    assert len(hands.state) == 2
    hands.move(0.02)
    hands.state.apply(ended(held.model_copy(update={"sub": "dev-third"}), hands.world.clock()))
    assert len(hands.state) == 2


def test_a_later_revocation_outlives_an_earlier_one_of_the_same(hands: Hands) -> None:
    held = hands.mint()
    hands.state.apply(ended(held, START))
    hands.move(100.0)
    hands.state.apply(ended(held, hands.world.clock()))
    hands.state.apply(ended(held, START))
    hands.move(300.0)
    hands.state.apply(ended(held.model_copy(update={"sub": "dev-other"}), hands.world.clock()))
    newest = held.model_copy(update={"iat": START + 100.0})
    assert hands.state.standing(newest, KID) == "revoked"


def test_without_room_everything_that_was_issued_until_then_is_distrusted(world: World) -> None:
    hands = Hands(world, capacity=10)
    gone = CredentialChange(event_timestamp=START, credential_type="signing-key", change_type="revoke")
    hands.state.apply(about(opaque(KID), credential_change=gone))
    held = hands.mint()
    doomed = [held.model_copy(update={"sub": f"dev-{number}"}) for number in range(50)]
    for one in doomed:
        hands.state.apply(ended(one, START))
        assert len(hands.state) <= 10
    assert all(hands.state.standing(one, "other") != "good" for one in doomed)
    assert hands.state.standing(held, "other") == "unknown"
    assert hands.state.standing(held, KID) == "revoked"
    hands.move(REACH_SECONDS + 1)
    assert hands.state.standing(hands.mint(), "other") == "good"


def test_what_is_kept_in_the_store_counts_as_what_was_pushed(hands: Hands) -> None:
    held = hands.mint()
    hands.state.add(Revocation(kind="place", value="1.2", revoked_at=START, expires_at=START + 300))
    assert not len(hands.state)
    hands.state.add(Revocation(kind="capability", value=held.jti, revoked_at=START, expires_at=START + 300))
    assert hands.state.standing(held, KID) == "revoked"


@given(st.lists(st.tuples(st.sampled_from(["end", "move", "mint"]), st.floats(0.1, 200.0)), max_size=30))
def test_whatever_happens_nothing_that_was_issued_before_its_end_is_ever_good_again(
    steps: list[tuple[str, float]],
) -> None:
    hands = Hands(World(), capacity=3)
    numbers: Iterator[int] = count()
    held: list[CapabilityClaims] = []
    last = 0.0
    for what, seconds in steps:
        if what == "move":
            hands.move(seconds)
        elif what == "mint":
            held.append(hands.mint(ttl=300.0))
        else:
            last = hands.world.clock()
            hands.state.apply(ended(hands.mint(), last))
            hands.state.apply(ended(hands.mint().model_copy(update={"sub": f"dev-{next(numbers)}"}), last))
        for one in held:
            if one.iat <= last and hands.world.clock() < one.exp:
                assert hands.state.standing(one, KID) != "good"


def test_a_verifier_refuses_what_is_void_and_what_nobody_can_tell_before_it_uses_anything_up(hands: Hands) -> None:
    world = hands.world
    verifier = CapabilityVerifier(jwks([world.signing]), ISSUER, AUDIENCE, world.clock, standings=hands.state)
    world.verifier = verifier
    token, claims = world.mint(one_time=True)
    hands.state.doubt()
    verdict = world.verify(token)
    assert isinstance(verdict, Refused)
    assert verdict.cause == "revocations_unknown"
    hands.state.hear()
    assert not isinstance(world.verify(token), Refused)
    hands.state.apply(ended(claims, world.clock()))
    verdict = world.verify(token)
    assert isinstance(verdict, Refused)
    assert verdict.cause == "revoked"


def test_a_verifier_that_has_seen_a_token_before_still_asks_how_it_stands(hands: Hands) -> None:
    world = hands.world
    world.verifier = CapabilityVerifier(jwks([world.signing]), ISSUER, AUDIENCE, world.clock, standings=hands.state)
    token, _ = world.mint()
    assert not isinstance(world.verify(token), Refused)
    gone = CredentialChange(event_timestamp=START, credential_type="signing-key", change_type="revoke")
    hands.state.apply(about(opaque(world.signing.kid), credential_change=gone))
    verdict = world.verify(token)
    assert isinstance(verdict, Refused)
    assert verdict.cause == "revoked"
