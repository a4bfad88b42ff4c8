"""One's own identity, another key for it, and the records that everybody may read and verify."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from controlplane.identifiers.didkey import did_key
from controlplane.identifiers.records import TYPE, SignedRecord, Statement, sign_record
from controlplane.identity.ledgers.interface import Anchored
from controlplane.identity.ledgers.overhttp import HttpLogLedger, HttpSource
from controlplane.jose.jws import encode_segment
from controlplane.jose.keys import DeviceKey
from tests.support import UNLIMITED, Caller, ControlPlane, running, wait_until


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    with running(log_seconds=0.1, ledger_seconds=0.1) as found:
        yield found


def rotation(caller: Caller, standing: dict[str, Any], key: DeviceKey, **changes: Any) -> Statement:
    stated = {
        "federation": standing["federation"],
        "kind": "device",
        "subject": standing["name"],
        "act": "rotated",
        "sequence": standing["sequence"] + 1,
        "previous": standing["head"],
        "issuer": standing["issuer"],
        "key": key.public,
        "time_ms": int(caller.plane.clock() * 1000),
    }
    return Statement.model_validate({**stated, **changes})


def own(caller: Caller) -> dict[str, Any]:
    found: dict[str, Any] = caller.get("/v1/devices/self/identity").expect(200)
    return found


def post(caller: Caller, signed: SignedRecord) -> Any:
    return caller.post("/v1/devices/self/key", signed.model_dump(exclude_none=True))


def rotate(caller: Caller) -> Caller:
    fresh = DeviceKey.generate()
    statement = rotation(caller, own(caller), fresh)
    post(caller, sign_record(statement, caller.key, fresh)).expect(200)
    return Caller(caller.plane, fresh, caller.id)


def records(plane: ControlPlane) -> list[Anchored]:
    """What somebody outside reads and verifies, once all that was made is final."""

    async def _all() -> list[Anchored]:
        async with HttpSource(plane.url) as source:
            ledger, cursor, found = HttpLogLedger(source, plane.services.transparency.heads.quorum), None, []
            while True:
                some = await ledger.follow(cursor)
                found += some.anchored
                cursor = some.cursor
                if not some.anchored:
                    return found

    wait_until(lambda: plane.run(plane.store.identities.waiting())[0] == 0, what="records are final")
    return asyncio.run(_all())


def about(plane: ControlPlane, caller: Caller) -> list[str]:
    said = [one.record.read().statement for one in records(plane)]
    return [one.act for one in said if one.subject == caller.id]


def test_who_enrols_is_on_the_ledger_with_the_key_that_it_proved(plane: ControlPlane) -> None:
    device = plane.enrol("trainer")
    standing = own(device)
    assert (standing["name"], standing["did"]) == (device.id, did_key(device.key.public))
    assert (standing["sequence"], standing["is_revoked"]) == (0, False)
    assert standing["issuer"] == plane.services.identity.organisation.did  # type: ignore[union-attr]
    found = [one.record for one in records(plane) if one.record.read().statement.subject == device.id]
    assert [one.read().statement.key for one in found] == [device.key.public]
    assert [one["record"] for one in standing["history"]] == [found[0].model_dump(exclude_none=True)]


def test_a_device_gives_itself_another_key_and_the_old_one_is_nobodys(plane: ControlPlane) -> None:
    device = plane.enrol("trainer")
    held = device.capability("model_access", digest=None, purpose="training")
    fresh = rotate(device)
    standing = own(fresh)
    assert (standing["sequence"], standing["name"], standing["did"]) == (1, device.id, did_key(fresh.key.public))
    assert [one["act"] for one in standing["history"]] == ["registered", "rotated"]
    device.get("/v1/devices/self/identity").expect(401)
    assert about(plane, device) == ["registered", "rotated"]
    assert held.status in (200, 201, 403)


def test_what_the_old_key_held_is_void(plane: ControlPlane) -> None:
    device = plane.enrol("trainer")
    before = plane.metric("ztfm_revocations_total", kind="subject")
    rotate(device)
    assert plane.metric("ztfm_revocations_total", kind="subject") == before + 1
    kept = plane.run(plane.store.revocations.live(plane.clock(), ("subject",)))
    assert device.id in {one.value for one in kept}


def test_nobody_enrols_with_a_key_that_a_device_had(plane: ControlPlane) -> None:
    device = plane.enrol("trainer")
    rotated = rotate(rotate(device))
    for key in (device.key, rotated.key):
        document = {"token": plane.token(["trainer"], "homes"), "roles": ["trainer"], "segment": "homes"}
        assert plane.call("POST", "/v1/devices", document, key=key).status == 409


def test_a_device_does_not_go_back_to_a_key_nor_take_anothers(plane: ControlPlane) -> None:
    device, other = plane.enrol("trainer"), plane.enrol("trainer")
    fresh = rotate(device)
    for key in (device.key, other.key):
        statement = rotation(fresh, own(fresh), key)
        assert post(fresh, sign_record(statement, fresh.key, key)).status == 409
    assert own(fresh)["sequence"] == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"sequence": 2},
        {"previous": "f" * 64},
        {"federation": "elsewhere"},
        {"issuer": "did:web:nobody.example"},
        {"subject": "dev-" + "A" * 43},
        {"kind": "issuer"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_rotation_that_does_not_follow_changes_nothing(plane: ControlPlane, changes: dict[str, Any]) -> None:
    device, fresh = plane.enrol("trainer"), DeviceKey.generate()
    statement = rotation(device, own(device), fresh, **changes)
    reply = post(device, sign_record(statement, device.key, fresh))
    assert (reply.status, reply.kind) == (409, "conflict")
    assert own(device)["sequence"] == 0


def test_a_rotation_needs_both_keys(plane: ControlPlane) -> None:
    device, fresh, thief = plane.enrol("trainer"), DeviceKey.generate(), DeviceKey.generate()
    statement = rotation(device, own(device), fresh)
    whole = sign_record(statement, device.key, fresh)
    for signed in (
        sign_record(statement, device.key),
        sign_record(statement, thief, fresh),
        SignedRecord(statement=whole.statement, consent=whole.statement),
        SignedRecord(statement="e30.e30.e30"),
    ):
        assert post(device, signed).status == 409
    post(device, whole).expect(200)


@pytest.mark.parametrize(
    "payload",
    [
        b"{}",
        b"[" * 2000,
        json.dumps({f"x{number}": 1 for number in range(250)}).encode(),
        json.dumps({"federation": "<secret>" * 50, "subject": "secret" * 50}).encode(),
    ],
    ids=["nothing", "deep", "many names", "long"],
)
def test_what_states_nothing_is_refused_in_a_few_words(plane: ControlPlane, payload: bytes) -> None:
    device = plane.enrol("trainer")
    header = f'{{"alg":"ES256","kid":"{device.key.thumbprint}","typ":"{TYPE}"}}'
    reply = post(device, SignedRecord(statement=device.key.sign(encode_segment(header.encode()), payload)))
    assert (reply.status, reply.kind) == (409, "conflict")
    assert b"secret" not in reply.body
    assert len(reply.body) < 700


def test_a_device_does_not_fill_the_ledger_with_its_keys() -> None:
    limits = replace(UNLIMITED, rotation_rate=0.001, rotation_burst=2.0)
    with running(limits=limits) as plane:
        device, other = plane.enrol("trainer"), plane.enrol("trainer")
        fresh = rotate(rotate(device))
        refused = rotation(fresh, own(fresh), fresh.key)
        reply = post(fresh, sign_record(refused, fresh.key, fresh.key))
        assert (reply.status, int(reply.headers["Retry-After"]) > 300) == (429, True)
        assert own(fresh)["sequence"] == 2
        # What was refused costs nothing.
        for _ in range(3):
            assert post(other, sign_record(rotation(other, own(other), other.key), other.key, other.key)).status == 409
        rotate(other)


def test_a_rotation_is_said_now(plane: ControlPlane) -> None:
    device, fresh = plane.enrol("trainer"), DeviceKey.generate()
    for time_ms in (0, int(plane.clock() * 1000) + 301_000):
        statement = rotation(device, own(device), fresh, time_ms=time_ms)
        reply = post(device, sign_record(statement, device.key, fresh))
        assert (reply.status, "compare the clocks" in reply.json["detail"]) == (409, True)
    assert own(device)["sequence"] == 0


def test_a_device_does_not_rotate_anothers_key(plane: ControlPlane) -> None:
    device, other, fresh = plane.enrol("trainer"), plane.enrol("trainer"), DeviceKey.generate()
    signed = sign_record(rotation(device, own(device), fresh), device.key, fresh)
    assert post(other, signed).status == 409


def test_a_quarantined_device_does_not_rotate_its_key(plane: ControlPlane) -> None:
    device, fresh = plane.enrol("trainer"), DeviceKey.generate()
    signed = sign_record(rotation(device, own(device), fresh), device.key, fresh)
    plane.run(plane.services.registry.set_status(device.id, "quarantined"))
    assert post(device, signed).status == 403


def test_two_rotations_at_once_leave_one(plane: ControlPlane) -> None:
    device = plane.enrol("trainer")
    keys = [DeviceKey.generate() for _ in range(4)]
    standing = own(device)
    signed = [sign_record(rotation(device, standing, key), device.key, key) for key in keys]
    known = plane.run(plane.services.registry.get(device.id))
    assert known is not None

    async def _all() -> list[Any]:
        given = (plane.services.registry.rotate(known, one.read()) for one in signed)
        return await asyncio.gather(*given, return_exceptions=True)

    outcomes = plane.run(_all())
    assert [one is None for one in outcomes].count(True) == 1
    assert about(plane, device) == ["registered", "rotated"]


def test_a_revocation_is_on_the_ledger_once(plane: ControlPlane) -> None:
    device = plane.enrol("trainer")
    for _ in range(2):
        assert plane.run(plane.services.registry.set_status(device.id, "revoked"))
    assert about(plane, device) == ["registered", "revoked"]


def test_other_statuses_write_nothing(plane: ControlPlane) -> None:
    device = plane.enrol("trainer")
    for status in ("quarantined", "active"):
        assert plane.run(plane.services.registry.set_status(device.id, status))  # type: ignore[arg-type]
    assert about(plane, device) == ["registered"]


def test_the_organisations_key_is_private(plane: ControlPlane) -> None:
    assert (plane.state / "organisation.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("query", ["", "?after=0", "?after=-1&limit=1", "?after=0&limit=1&more=1", "?after=x&limit=1"])
def test_records_are_asked_for_by_number(plane: ControlPlane, query: str) -> None:
    assert plane.call("GET", f"/v1/identity/records{query}").status == 400


def test_records_come_in_pages_that_are_bounded(plane: ControlPlane) -> None:
    records(plane)
    answer = plane.call("GET", "/v1/identity/records?after=0&limit=1000000").expect(200)
    assert len(answer["records"]) == min(64, answer["total"])
    assert plane.call("GET", "/v1/identity/records?after=1000000&limit=1").expect(200)["records"] == []
