"""``ztfm audit`` and ``ztfm witness``: a log and those who watch it, each a process of its own."""

import json
import sqlite3
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from adapters.member import Member
from controlplane.audit.remembered import HEAD_FILE
from controlplane.contracts.access import InferenceSize, Resource
from controlplane.contracts.capability import CapabilityContext
from controlplane.contracts.rounds import RoundRequest
from controlplane.transparency.entries import Entry, commit
from controlplane.transparency.proofs import LogKeys
from controlplane.witness.memory import Memory
from controlplane.witnessing import load_signer
from tests.controlplane.cli.processes import ZTFM, serve
from tests.servers.ports import free_port
from tests.support import wait_until

Quick = Callable[..., Result]


@contextmanager
def witness(folder: Path, log: str) -> Iterator[dict[str, Any]]:
    """A witness's process."""
    command = [*ZTFM, "witness", "serve", "--folder", str(folder), "--log", log, "--port", "0", "--json"]
    with (folder / "log").open("w") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, (folder / "log").read_text()
        yield json.loads(line)
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:
        found: bytes = answer.read()
    return found


def enrolled(quick: Quick, url: str, folder: Path) -> Member:
    done = quick("tokens", "issue", "--role", "consumer", "--segment", "homes", "--json")
    assert done.exit_code == 0, done.output
    return Member.enrol(folder, url, json.loads(done.stdout)["tokens"][0], roles=["consumer"], segment="homes")


def asks(member: Member, times: int = 1) -> list[str]:
    size = CapabilityContext(inference=InferenceSize(prompt_tokens=1, max_output_tokens=1))
    model = Resource(type="model", id="smart-home-intents")
    return [member.plane.capability("inference", model, "gateway-1", size).require().decision_id for _ in range(times)]


def rewrite(state: Path, decision: str) -> int:
    """Say the opposite of a decision, with all of the log that whoever holds the database can change; return where."""
    with closing(sqlite3.connect(state / "ztfm.db")) as store:
        place, time_ms, salt = store.execute(
            "SELECT place, time_ms, salt FROM log_entries WHERE id = ?", (decision,)
        ).fetchone()
        (record,) = store.execute("SELECT document FROM decisions WHERE id = ?", (decision,)).fetchone()
        changed = record.replace(b'"outcome":"allow"', b'"outcome":"deny"')
        assert changed != record
        entry = Entry(commitment=commit(salt, changed).hex(), id=decision, kind="decision", time_ms=time_ms)
        values = (bytes.fromhex(entry.commitment), entry.hashed(), place)
        store.execute("UPDATE log_entries SET commitment = ?, hash = ? WHERE place = ?", values)
        store.execute("UPDATE decisions SET document = ? WHERE id = ?", (changed, decision))
        store.execute("DELETE FROM log_tiles")
        store.execute("DELETE FROM log_checkpoints")
        store.commit()
    return int(place)


@pytest.fixture
def log_key(state: Path) -> str:
    """The verifier key of a log whose control plane was not started yet."""
    return str(load_signer(state / "log-signing.key", "org-a/log").verifier)


def findings(quick: Quick, folder: Path) -> list[dict[str, Any]]:
    return list(json.loads(quick("witness", "findings", "--folder", str(folder), "--json").stdout)["findings"])


def test_a_control_plane_that_rewrites_history_is_caught_by_the_witnesses_of_two_organisations(
    state: Path, quick: Quick, tmp_path: Path, log_key: str
) -> None:
    folders = {name: tmp_path / name for name in ("org-b", "org-c")}
    keys = {}
    for name, folder in folders.items():
        done = quick("witness", "init", "--name", name, "--folder", str(folder), "--json")
        keys[name] = json.loads(done.stdout)["verifier"]
    port = free_port()
    with ExitStack() as running:
        watching = {
            name: running.enter_context(witness(folder, f"{log_key}=http://127.0.0.1:{port}"))
            for name, folder in folders.items()
        }
        named = tmp_path / "witnesses"
        named.write_text("".join(f"{keys[name]} {watching[name]['url']}\n" for name in folders))
        settings = {
            "ZTFM_LOG_WITNESSES_FILE": str(named),
            "ZTFM_LOG_WITNESSES_NEEDED": "2",
            "ZTFM_LOG_SECONDS": "0.2",
        }
        with serve(state, "--port", str(port), **settings) as (_, line):
            with enrolled(quick, line["url"], tmp_path / "device") as device:
                decisions = asks(device, 3)
                known = LogKeys.model_validate_json(get(f"{line['url']}/v1/log/keys"))
                assert (known.log, known.witnesses, known.needed) == (log_key, [keys["org-b"], keys["org-c"]], 2)
                proof = device.plane.decision_proof(decisions[1])
            (tmp_path / "keys.json").write_text(known.model_dump_json())
            (tmp_path / "proof.json").write_text(proof.model_dump_json())
            wait_until(lambda: all(mirrored(folder) > proof.place for folder in folders.values()))
        verified = quick("audit", "verify", str(tmp_path / "proof.json"), "--keys", str(tmp_path / "keys.json"))
        assert verified.exit_code == 0, verified.output
        assert "seen by org-b, org-c" in verified.stdout
        assert quick("audit", "check").exit_code == 0

        place = rewrite(state, decisions[1])
        # Its keeper does not leave there either what the control plane itself remembers.
        (state / HEAD_FILE).unlink()
        sound = json.loads(quick("audit", "check", "--json").stdout)
        assert sound["sound"], "the keeper of the database has changed everything that it holds"

        with serve(state, "--port", str(port), **settings) as (_, line):
            wait_until(lambda: all(findings(quick, folder) for folder in folders.values()))
            with Member.open(tmp_path / "device") as device:
                (tmp_path / "later.json").write_text(device.plane.decision_proof(decisions[1]).model_dump_json())
        refused = quick("audit", "verify", str(tmp_path / "later.json"), "--keys", str(tmp_path / "keys.json"))
        assert refused.exit_code == 1
        assert "0 of 2 witnesses signed" in refused.stderr
        for folder in folders.values():
            # That two heads of one size were signed may be found as well.
            (finding,) = [one for one in findings(quick, folder) if one["place"] is not None]
            assert finding["place"] == place
            assert finding["what"].startswith(f"entry {place} is not what it was")


def mirrored(folder: Path) -> int:
    memory = Memory(folder / "witness.db")
    try:
        return memory.mirrored("org-a/log")
    finally:
        memory.close()


def test_records_that_were_changed_or_removed_are_found(state: Path, quick: Quick, tmp_path: Path) -> None:
    with serve(state) as (_, line), enrolled(quick, line["url"], tmp_path / "device") as device:
        decisions = asks(device, 3)
        device.plane.decision_proof(decisions[0])
    with closing(sqlite3.connect(state / "ztfm.db")) as store:
        store.execute("UPDATE decisions SET document = '{}' WHERE id = ?", (decisions[0],))
        store.execute("DELETE FROM decisions WHERE id = ?", (decisions[1],))
        store.execute("UPDATE log_entries SET time_ms = time_ms + 1 WHERE id = ?", (decisions[2],))
        store.commit()
    done = quick("audit", "check", "--json")
    assert done.exit_code == 1
    assert done.stdout, done.stderr
    found = json.loads(done.stdout)
    assert {(fault["what"], fault["about"]) for fault in found["faults"] if fault["what"] != "head"} == {
        ("record", f"decision {decisions[0]}"),
        ("record", f"decision {decisions[1]}"),
        ("changed", f"decision {decisions[2]}"),
    }
    said = quick("audit", "check").stdout
    assert f"the record of decision {decisions[1]} is gone" in said


def test_a_proof_without_a_key_is_not_checked(quick: Quick, tmp_path: Path) -> None:
    (tmp_path / "proof.json").write_text("{}")
    refused = quick("audit", "verify", str(tmp_path / "proof.json"))
    assert (refused.exit_code, "--keys" in refused.stderr) == (1, True)


def test_what_is_no_proof_is_said_to_be_none(quick: Quick, tmp_path: Path, log_key: str) -> None:
    (tmp_path / "proof.json").write_text("{}")
    refused = quick("audit", "verify", str(tmp_path / "proof.json"), "--log-key", log_key)
    assert (refused.exit_code, "holds no proof" in refused.stderr) == (1, True)


def test_a_witness_keeps_one_key(quick: Quick, tmp_path: Path) -> None:
    folder = str(tmp_path / "w")
    assert quick("witness", "init", "--name", "org-b", "--folder", folder).exit_code == 0
    again = quick("witness", "init", "--name", "org-b", "--folder", folder)
    assert (again.exit_code, "is there already" in again.stderr) == (1, True)
    assert quick("witness", "findings", "--folder", folder).stdout == "nothing was found\n"


def test_witnesses_that_cannot_be_used_are_named_at_the_start(quick: Quick, tmp_path: Path) -> None:
    named = tmp_path / "witnesses"
    named.write_text("# ours\norg-b+00000000+AAAA http://127.0.0.1:1\n")
    done = quick("serve", ZTFM_LOG_WITNESSES_FILE=str(named))
    assert done.exit_code == 1
    assert f"{named}, line 2" in done.stderr
    done = quick("serve", ZTFM_LOG_WITNESSES_NEEDED="1")
    assert (done.exit_code, "wants 1 witnesses" in done.stderr) == (1, True)


def test_the_log_is_exported_in_order_and_goes_on_where_it_stopped(state: Path, quick: Quick, tmp_path: Path) -> None:
    with serve(state) as (_, line), enrolled(quick, line["url"], tmp_path / "device") as device:
        (decision,) = asks(device)
        subject = device.id
    first = quick("audit", "export", "--limit", "1")
    rest = quick("audit", "export", "--after", first.stderr.strip())
    entries = [json.loads(line) for line in (first.stdout + rest.stdout).splitlines()]
    assert [entry["place"] for entry in entries] == list(range(len(entries)))
    (asked,) = [entry for entry in entries if entry["entry"]["id"] == decision]
    assert (asked["record"]["subject"], asked["record"]["outcome"]) == (subject, "allow")
    assert {entry["entry"]["kind"] for entry in entries} == {"decision", "identity", "release"}

    events = [json.loads(line) for line in quick("audit", "export", "--form", "ocsf").stdout.splitlines()]
    (event,) = [event for event in events if event["metadata"]["uid"] == decision]
    assert (event["class_uid"], event["type_uid"], event["status_id"]) == (6003, 600399, 1)
    assert event["actor"]["user"]["uid"] == subject

    lines = quick("audit", "export", "--form", "cef").stdout.splitlines()
    (shown,) = [line for line in lines if f"externalId={decision}" in line]
    assert shown.startswith("CEF:0|ZTFM|control plane|")
    assert "|inference|inference allow|1|" in shown
    assert f"suser={subject}" in shown


def test_everything_that_is_known_about_a_device_is_said(state: Path, quick: Quick, tmp_path: Path) -> None:
    with serve(state) as (_, line), enrolled(quick, line["url"], tmp_path / "device") as device:
        decisions = asks(device, 2)
        subject = device.id
    known = json.loads(quick("audit", "subject", subject, "--json").stdout)
    assert known["device"]["id"] == subject
    assert {decision["id"] for decision in known["decisions"]} >= set(decisions)
    assert {decision["subject"] for decision in known["decisions"]} == {subject}
    assert not known["decisions_left_out"]
    assert "registered" in quick("audit", "subject", subject).stdout
    assert quick("audit", "subject", "dev-nobody").exit_code == 1


def test_a_model_is_traced_to_the_rounds_that_led_to_it(state: Path, quick: Quick, tmp_path: Path) -> None:
    with serve(state) as (_, line):
        token = json.loads(quick("tokens", "issue", "--role", "aggregator", "--segment", "core", "--json").stdout)
        with Member.enrol(
            tmp_path / "agg", line["url"], token["tokens"][0], roles=["aggregator"], segment="core"
        ) as aggregator:
            for number in range(3):
                aggregator.plane.open_round(
                    RoundRequest(
                        id=f"run-{number}",
                        model="smart-home-intents",
                        model_digest=f"sha256:{str(number) * 64}",
                        members=["dev-1"],
                        duration_seconds=60.0,
                    )
                )
    found = json.loads(quick("provenance", f"sha256:{'2' * 64}", "--json").stdout)
    assert [one["round_id"] for one in found["rounds"]] == ["run-1", "run-0"]
    assert "run-1" in quick("provenance", f"sha256:{'2' * 64}").stdout
    first = quick("provenance", f"sha256:{'0' * 64}")
    assert (first.exit_code, "a federation began with it" in first.stderr) == (1, True)
    elsewhere = quick("provenance", f"sha256:{'2' * 64}", "--state-dir", str(tmp_path / "nowhere"))
    assert (elsewhere.exit_code, "--log-key" in elsewhere.stderr) == (1, True)
