"""A control plane that follows its ledger: what does not agree with it is found, and policy decides what is done."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from controlplane.cli.commands import app as commands
from controlplane.contracts.identity import PublicKey
from controlplane.identifiers.histories import Identity
from controlplane.identifiers.records import Statement, sign_record
from controlplane.jose.keys import DeviceKey
from controlplane.parts import IDENTIFYING, StartFailed
from tests.servers.ports import free_port
from tests.support import Caller, ControlPlane, running, wait_until


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    with running(log_seconds=0.1, ledger_seconds=0.1) as found:
        yield found


def by_hand(plane: ControlPlane, statement: str, **values: Any) -> None:
    """What somebody does who can write into the database, and nothing else."""

    async def _run() -> None:
        await plane.store._database.change("tamper", text(statement), values)

    plane.run(_run())


def final(plane: ControlPlane) -> None:
    wait_until(lambda: plane.run(plane.store.identities.waiting())[0] == 0, what="records are final")


def status(plane: ControlPlane, caller: Caller) -> str:
    device = plane.run(plane.store.devices.get(caller.id))
    assert device is not None
    return device.status


def becomes(plane: ControlPlane, caller: Caller, expected: str, finding: str) -> None:
    wait_until(lambda: status(plane, caller) == expected, what=f"{caller.id} is {expected}")
    wait_until(lambda: plane.metric("ztfm_identity_findings_total", finding=finding) >= 1, what=finding)


def known(plane: ControlPlane, caller: Caller) -> Identity:
    found = plane.run(plane.store.identities.known(caller.id))
    assert found is not None
    return found


def outside(plane: ControlPlane, tmp_path: Path, *more: str) -> dict[str, Any]:
    """What somebody outside finds who was given the founders and the keys before."""
    pinned = CliRunner().invoke(commands, ["identity", "founders", "--state-dir", str(plane.state), "--json"])
    assert pinned.exit_code == 0, pinned.output
    (tmp_path / "founders.json").write_text(pinned.output)
    arguments = ["identity", "check", plane.url, "--founders", str(tmp_path / "founders.json"), "--json", *more]
    result = CliRunner().invoke(commands, arguments)
    # The control plane, which logs, is in this process too.
    lines = [line for line in result.output.splitlines() if line.startswith("{")]
    found: dict[str, Any] = json.loads(lines[-1])
    assert result.exit_code == (0 if found["sound"] else 1)
    return found


@pytest.mark.parametrize("is_noted", [False, True], ids=["put there", "put there and noted for a record"])
def test_a_device_that_was_put_into_the_database_is_set_apart(plane: ControlPlane, is_noted: bool) -> None:
    device = plane.enrol("trainer")
    final(plane)
    key = DeviceKey.generate()
    values = {"id": f"dev-{key.thumbprint}", "mark": key.thumbprint, "x": key.public.x, "y": key.public.y}
    by_hand(
        plane,
        "INSERT INTO devices (id, key_thumbprint, key_x, key_y, roles, segment, status, attestation_level,"
        " attestation_verified_at, trust_score, trust_observations, enrolled_at)"
        " SELECT :id, :mark, :x, :y, roles, segment, status, attestation_level,"
        f" attestation_verified_at, trust_score, trust_observations, enrolled_at FROM devices WHERE id = '{device.id}'",
        **values,
    )
    if is_noted:
        by_hand(plane, "INSERT INTO identity_pending VALUES (:id)", id=values["id"])
    becomes(plane, Caller(plane, key, values["id"]), "quarantined", "unrecorded")
    assert plane.run(plane.store.identities.known(values["id"])) is None
    assert status(plane, device) == "active"


def test_a_device_whose_key_was_swapped_in_the_database_is_set_apart(plane: ControlPlane) -> None:
    device, thief = plane.enrol("trainer"), DeviceKey.generate()
    final(plane)
    by_hand(
        plane,
        "UPDATE devices SET key_x = :x, key_y = :y, key_thumbprint = :mark WHERE id = :id",
        x=thief.public.x,
        y=thief.public.y,
        mark=thief.thumbprint,
        id=device.id,
    )
    becomes(plane, device, "quarantined", "other_key")


def test_a_device_that_was_let_back_in_the_database_is_revoked_again(plane: ControlPlane) -> None:
    device = plane.enrol("trainer")
    assert plane.run(plane.services.registry.set_status(device.id, "revoked"))
    final(plane)
    by_hand(plane, "UPDATE devices SET status = 'active' WHERE id = :id", id=device.id)
    becomes(plane, device, "revoked", "revoked_elsewhere")


def test_a_record_in_the_database_that_nobody_signed_vouches_for_no_key(plane: ControlPlane) -> None:
    device, thief = plane.enrol("trainer"), DeviceKey.generate()
    final(plane)
    before = known(plane, device)
    forged = sign_record(rotation(before, thief.public), thief, thief)
    by_hand(
        plane,
        "INSERT INTO identity_records (subject, sequence, hash, document, made_at) VALUES (:id, 1, :hash, :raw, :now)",
        id=device.id,
        hash=forged.read().hash,
        raw=forged.model_dump_json(exclude_none=True).encode(),
        now=plane.clock(),
    )
    by_hand(
        plane,
        "UPDATE devices SET key_x = :x, key_y = :y, key_thumbprint = :mark WHERE id = :id",
        x=thief.public.x,
        y=thief.public.y,
        mark=thief.thumbprint,
        id=device.id,
    )
    becomes(plane, device, "quarantined", "other_key")
    wait_until(lambda: plane.metric("ztfm_identity_findings_total", finding="refused_record") >= 1)


def test_who_looks_from_outside_finds_a_record_that_nobody_may_make(plane: ControlPlane, tmp_path: Path) -> None:
    device, thief = plane.enrol("trainer"), DeviceKey.generate()
    final(plane)
    before = known(plane, device)
    ledger = plane.app[IDENTIFYING].ledger
    forged = sign_record(rotation(before, thief.public), thief, thief)
    plane.run(ledger.publish([forged]))
    wait_until(lambda: forged.read().hash in json.dumps(outside(plane, tmp_path)["faults"]), what="it is told of")
    fault = next(one for one in outside(plane, tmp_path)["faults"] if forged.read().hash in one["message"])
    assert (fault["what"], fault["subject"]) == ("record", device.id)
    assert fault["place"].startswith("entry ")
    assert "not_signed_by_author" in fault["message"]
    assert known_key(plane, device) == device.key.public


def test_who_looks_from_outside_sees_that_the_log_only_grew(tmp_path: Path) -> None:
    with running(log_seconds=0.1, ledger_seconds=0.1) as plane:
        plane.enrol("trainer")
        final(plane)
        seen = tmp_path / "seen.json"
        first = outside(plane, tmp_path, "--remember", str(seen))
        assert (first["sound"], first["devices"], first["log_key_pinned"]) == (True, 1, True)
        plane.enrol("trainer")
        final(plane)
        assert outside(plane, tmp_path, "--remember", str(seen))["devices"] == 2
        changed = json.loads(seen.read_text()) | {"root": "a" * 64}
        seen.write_text(json.dumps(changed))
        lied = outside(plane, tmp_path, "--remember", str(seen))
        assert [one["what"] for one in lied["faults"]] == ["ledger"]
        changed = json.loads(json.dumps(changed)) | {"records": 1, "root": json.loads(first["cursor"])["root"]}
        changed |= {"size": json.loads(first["cursor"])["size"], "through": json.loads(first["cursor"])["through"]}
        seen.write_text(json.dumps(changed | {"records": 0}))
        withheld = outside(plane, tmp_path, "--remember", str(seen))
        assert "showed 0 records before, and 1 now" in withheld["faults"][0]["message"]


def test_a_ledger_that_contradicts_itself_is_told_of_and_nothing_else_stops(tmp_path: Path) -> None:
    with running(log_seconds=0.1, ledger_seconds=0.1) as plane:
        device = plane.enrol("trainer")
        final(plane)
        by_hand(plane, "UPDATE log_checkpoints SET note = 'nobody signed this'")
        wait_until(lambda: plane.metric("ztfm_identity_findings_total", finding="ledger_lied") == 1)
        assert plane.call("GET", "/v1/identity/records?after=0&limit=1").status == 503
        other = plane.enrol("trainer")
        assert [status(plane, one) for one in (device, other)] == ["active", "active"]
        assert plane.run(plane.store.identities.waiting())[0] == 1


def test_who_also_changed_what_is_kept_of_the_ledger_is_found_by_reading_it_again(tmp_path: Path) -> None:
    with running(log_seconds=0.1, ledger_seconds=0.1) as plane:
        device, fine, thief = plane.enrol("trainer"), plane.enrol("trainer"), DeviceKey.generate()
        final(plane)
        compared = ("--state-dir", str(plane.state))
        assert outside(plane, tmp_path, *compared)["sound"]
        changed = {"x": thief.public.x, "y": thief.public.y, "id": device.id}
        by_hand(plane, "UPDATE identities SET key_x = :x, key_y = :y WHERE subject = :id", **changed)
        by_hand(
            plane,
            "UPDATE devices SET key_x = :x, key_y = :y, key_thumbprint = :mark WHERE id = :id",
            mark=thief.thumbprint,
            **changed,
        )
        found = outside(plane, tmp_path, *compared)
        assert [(one["what"], one["subject"]) for one in found["faults"]] == [("registry", device.id)]
        assert "(other_key)" in found["faults"][0]["message"]
        assert status(plane, fine) == "active"


def test_a_check_that_cannot_be_made_says_why(plane: ControlPlane, tmp_path: Path) -> None:
    founders = tmp_path / "founders.json"
    key = DeviceKey.generate().public.model_dump()
    founders.write_text(json.dumps({"federation": "default", "founders": [{"did": "did:web:a.example", "key": key}]}))
    wrong = tmp_path / "wrong.json"
    wrong.write_text("{}")
    for arguments, why in (
        ([f"http://127.0.0.1:{free_port()}", "--founders", str(founders)], "does not answer"),
        ([plane.url, "--founders", str(tmp_path / "none.json")], "none.json"),
        ([plane.url, "--founders", str(wrong)], "founders"),
        (["--founders", str(founders)], "name the control plane"),
        ([plane.url, "--founders", str(founders), "--log-key", "x"], "key"),
        ([plane.url, "--founders", str(founders), "--ledger", "stone"], "stone"),
    ):
        result = CliRunner().invoke(commands, ["identity", "check", *arguments])
        assert result.exit_code == 1
        assert why in result.output, result.output


def test_who_is_no_founder_of_ours_vouches_for_nobody(plane: ControlPlane, tmp_path: Path) -> None:
    device = plane.enrol("trainer")
    final(plane)
    key = DeviceKey.generate().public.model_dump()
    founders = tmp_path / "founders.json"
    founders.write_text(json.dumps({"federation": "default", "founders": [{"did": "did:web:a.example", "key": key}]}))
    result = CliRunner().invoke(commands, ["identity", "check", plane.url, "--founders", str(founders), "--json"])
    found = json.loads(result.output.splitlines()[-1])
    assert (result.exit_code, found["devices"], found["log_key_pinned"]) == (1, 0, False)
    assert any(one["subject"] == device.id and "unknown_issuer" in one["message"] for one in found["faults"])


def test_devices_of_before_get_their_records_when_it_starts(tmp_path: Path) -> None:
    state = tmp_path / "s"
    with running(state=state, log_seconds=0.1, ledger_seconds=0.1) as plane:
        devices = [plane.enrol("trainer") for _ in range(3)]
        assert plane.run(plane.services.registry.set_status(devices[2].id, "revoked"))
        final(plane)
    with closing(sqlite3.connect(state / "ztfm.db")) as database, database:
        # As a database of before there were records is brought up.
        for table in ("identity_records", "ledger_records", "ledger_cursors", "identities"):
            database.execute(f"DELETE FROM {table}")
        for table in ("log_entries", "log_tiles", "log_checkpoints"):
            database.execute(f"DELETE FROM {table}")
        database.execute("INSERT INTO identity_pending SELECT id FROM devices")
    for began in ("identities-began", "log-head"):
        (state / began).unlink()
    with running(state=state, log_seconds=0.1, ledger_seconds=0.1) as plane:
        wait_until(lambda: plane.run(plane.store.ledgers.read("log")).records == 4, what="all is on the ledger")
        found = plane.run(plane.store.ledgers.known("log", [one.id for one in devices]))
        assert [found[one.id].is_revoked for one in devices] == [False, False, True]
        assert [found[one.id].key for one in devices] == [one.key.public for one in devices]
        assert [status(plane, one) for one in devices] == ["active", "active", "revoked"]


def test_a_replica_with_a_key_of_its_own_does_not_start(tmp_path: Path) -> None:
    state = tmp_path / "s"
    with running(state=state) as plane:
        plane.enrol("trainer")
    ours = (state / "organisation.key").read_bytes()
    (state / "organisation.key").unlink()
    with pytest.raises(StartFailed, match="Replicas of one database share"), running(state=state):
        pass
    with pytest.raises(StartFailed), running(state=state, organisation_did="did:web:elsewhere.example"):
        pass
    (state / "organisation.key").write_bytes(ours)
    with running(state=state) as plane:
        plane.enrol("trainer")


def test_a_command_that_revokes_has_its_record_made_by_who_serves(plane: ControlPlane) -> None:
    device = plane.enrol("trainer")
    result = CliRunner().invoke(commands, ["devices", "revoke", device.id, "--state-dir", str(plane.state)])
    assert result.exit_code == 0, result.output
    wait_until(lambda: known(plane, device).is_revoked, what="the record is made")


def test_the_history_of_an_identity_is_told(plane: ControlPlane) -> None:
    device = plane.enrol("trainer")
    assert plane.run(plane.services.registry.set_status(device.id, "revoked"))
    final(plane)
    arguments = ["identity", "history", device.id, "--state-dir", str(plane.state)]
    told = json.loads(CliRunner().invoke(commands, [*arguments, "--json"]).output)
    assert [line["act"] for line in told["records"]] == ["registered", "revoked"]
    shown = CliRunner().invoke(commands, arguments)
    assert shown.exit_code == 0
    assert "revoked" in shown.output
    stranger = CliRunner().invoke(commands, ["identity", "history", "dev-nobody", "--state-dir", str(plane.state)])
    assert stranger.exit_code == 1


def test_how_far_behind_it_is_shows(plane: ControlPlane) -> None:
    plane.enrol("trainer")
    final(plane)
    wait_until(lambda: plane.metric("ztfm_ledger_outbox") == 0)
    assert plane.metric("ztfm_ledger_lag_seconds") < 60
    assert plane.metric("ztfm_identity_records_total", act="registered") >= 1


def rotation(before: Identity, key: PublicKey) -> Statement:
    return Statement(
        federation="default",
        kind="device",
        subject=before.subject,
        act="rotated",
        sequence=before.sequence + 1,
        previous=before.head,
        issuer=before.issuer,
        key=key,
        time_ms=1,
    )


def known_key(plane: ControlPlane, device: Caller) -> PublicKey:
    return plane.run(plane.store.ledgers.known("log", [device.id]))[device.id].key
