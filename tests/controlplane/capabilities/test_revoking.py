from pathlib import Path

import pytest

from controlplane.capabilities.statuslist import place_of, place_text, window_of
from controlplane.contracts.events import JwtSubject, OpaqueSubject, SecurityEvent
from controlplane.contracts.identity import DeviceStatus
from controlplane.storage import StoreUnavailable
from tests.controlplane.capabilities.announced import Replica, replicas
from tests.controlplane.capabilities.conftest import ISSUER, START, World

KID = "k" * 43


async def events_of(replica: Replica) -> list[SecurityEvent]:
    return [SecurityEvent.model_validate_json(row[2]) for row in await replica.store.events.after(0)]


async def test_a_capability_is_void_here_at_once_and_for_others_through_the_store(tmp_path: Path, world: World) -> None:
    _, claims = world.mint()
    async with replicas(tmp_path, 2) as (one, other), one.running():
        assert not one.revoker.is_revoked(claims)
        await one.revoker.revoke_capability(claims.jti, claims.exp, claims.decision_id, claims.iat, reason="Lost.")
        assert one.revoker.is_revoked(claims)
        assert one.revoker.standing(claims, KID) == "revoked"
        assert one.counting.told == {"capability": 1, "session-revoked": 1}
        [event] = await events_of(one)
        assert event.sub_id == JwtSubject(format="jwt_id", iss=ISSUER, jti=claims.jti)
        assert event.txn == claims.decision_id
        assert event.events.session_revoked is not None
        assert event.events.session_revoked.reason_admin == {"en": "Lost."}
        [place] = await one.store.revocations.live(START, ("place",))
        assert place.value == place_text(window_of(claims.iat), place_of(claims.decision_id))
        assert other.revoker.is_revoked(claims), "nothing was heard yet"
        await other.broadcast.begin()
        assert other.revoker.standing(claims, KID) == "revoked"


async def test_what_could_not_be_written_is_not_revoked(tmp_path: Path, world: World) -> None:
    _, claims = world.mint()
    async with replicas(tmp_path) as (one,), one.running():
        await one.store.close()
        with pytest.raises(StoreUnavailable):
            await one.revoker.revoke_subject(claims.sub, reason="Lost.")
        assert one.revoker.standing(claims, KID) == "good"
        assert not one.counting.told


@pytest.mark.parametrize(
    ("status", "kinds", "is_void"),
    [
        ("quarantined", ["device-compliance-change"], True),
        ("revoked", ["session-revoked", "credential-change"], True),
        ("active", ["device-compliance-change"], False),
    ],
)
async def test_a_change_of_status_says_what_it_is_in_terms_of_caep(
    tmp_path: Path, world: World, status: DeviceStatus, kinds: list[str], is_void: bool
) -> None:
    _, claims = world.mint()
    async with replicas(tmp_path) as (one,), one.running():
        notice = one.revoker.status_notice([claims.sub], status, initiator="policy")
        await one.store.revocations.add(notice)
        one.revoker.written(notice)
        events = await events_of(one)
        assert [event.events.kind for event in events] == kinds
        assert len({event.txn for event in events}) == 1
        assert all(event.sub_id == OpaqueSubject(format="opaque", id=claims.sub) for event in events)
        assert all(event.events.caep and event.events.caep.initiating_entity == "policy" for event in events)
        assert one.revoker.is_revoked(claims, KID) is is_void
        change = events[0].events.device_compliance_change
        if change is not None:
            assert change.current_status == ("not-compliant" if is_void else "compliant")
            assert change.previous_status != change.current_status


async def test_a_withdrawn_key_and_a_lost_certificate_are_credentials_that_changed(
    tmp_path: Path, world: World
) -> None:
    _, claims = world.mint()
    async with replicas(tmp_path) as (one,), one.running():
        await one.revoker.withdraw_key(KID, reason="Leaked.")
        assert one.revoker.standing(claims, KID) == "revoked"
        assert one.revoker.standing(claims, "other") == "good"
        await one.revoker.revoke_credential(claims.sub, "x509", reason="Lost.")
        assert one.revoker.standing(claims, "other") == "revoked"
        kinds = [event.events.credential_change for event in await events_of(one)]
        assert [kind and (kind.credential_type, kind.change_type) for kind in kinds] == [
            ("signing-key", "revoke"),
            ("x509", "revoke"),
        ]
        assert one.counting.told == {"key": 1, "subject": 1, "credential-change": 2}


async def test_a_subject_may_be_asked_to_come_back_without_a_change_of_its_status(tmp_path: Path, world: World) -> None:
    _, claims = world.mint()
    async with replicas(tmp_path) as (one,), one.running():
        await one.revoker.revoke_subject(claims.sub, reason="Lost.", initiator="user", txn="dec-9")
        assert one.revoker.is_revoked(claims)
        [event] = await events_of(one)
        assert event.txn == "dec-9"
        later = claims.model_copy(update={"iat": START + 2.1})
        assert not one.revoker.is_revoked(later)


async def test_an_event_alone_makes_nothing_void(tmp_path: Path, world: World) -> None:
    _, claims = world.mint()
    async with replicas(tmp_path) as (one,), one.running():
        notice = one.revoker.status_notice([claims.sub], "active", initiator="admin")
        await one.revoker.emit(notice.events[0].sub_id, notice.events[0].events, txn="txn-7")
        [event] = await events_of(one)
        assert event.txn == "txn-7"
        assert not one.revoker.is_revoked(claims)
