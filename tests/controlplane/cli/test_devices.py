"""``ztfm devices`` and ``ztfm tls``: on the state folder itself, while a control plane serves it or not."""

import json
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from controlplane.cli.commands import app
from controlplane.cli.devices_why import lines
from controlplane.contracts.identity import Trust
from controlplane.contracts.standing import DeviceBehaviour
from tests.controlplane.behaving import LOW, NOW, attribution, observed, verdict
from tests.support import Caller, ControlPlane, running, wait_until


@pytest.fixture(scope="module")
def served() -> Iterator[ControlPlane]:
    with running() as plane:
        yield plane


@pytest.fixture
def device(served: ControlPlane) -> Caller:
    return served.enrol("consumer")


@pytest.fixture
def run(served: ControlPlane) -> Callable[..., Result]:
    return lambda *words: CliRunner().invoke(app, [*words, "--state-dir", str(served.state)])


def infers(device: Caller) -> bool:
    return device.capability("inference", inference={"prompt_tokens": 1, "max_output_tokens": 1}).status == 201


def test_what_it_changes_holds_in_the_control_plane_that_serves(run: Callable[..., Result], device: Caller) -> None:
    assert infers(device)
    assert json.loads(run("devices", "quarantine", device.id, "--json").stdout)["status"] == "quarantined"
    wait_until(lambda: not infers(device), 3.0)
    assert json.loads(run("devices", "release", device.id, "--json").stdout)["status"] == "active"
    wait_until(lambda: infers(device), 3.0)
    assert json.loads(run("devices", "revoke", device.id, "--json").stdout)["status"] == "revoked"
    wait_until(lambda: not infers(device), 3.0)


def test_enforcement_points_hear_of_it(served: ControlPlane, run: Callable[..., Result], device: Caller) -> None:
    run("devices", "revoke", device.id)
    kinds = served.run(served.store._database.read("look", _events()))
    assert any(device.id.encode() in row.document for row in kinds)


def _events() -> object:
    from sqlalchemy import select

    from controlplane.storage.tables_capabilities import security_events

    return select(security_events)


def test_it_shows_a_device(run: Callable[..., Result], device: Caller) -> None:
    shown = json.loads(run("devices", "show", device.id, "--json").stdout)
    assert (shown["id"], shown["status"], shown["roles"]) == (device.id, "active", ["consumer"])
    table = run("devices", "show", device.id).stdout
    assert "active" in table
    assert "consumer" in table


def test_revoked_is_final(run: Callable[..., Result], device: Caller) -> None:
    run("devices", "revoke", device.id)
    again = run("devices", "release", device.id)
    assert again.exit_code == 1
    assert "stays so" in again.stderr


@pytest.mark.parametrize("command", ["show", "why", "updates", "quarantine", "release", "revoke"])
def test_an_unknown_device_is_said(run: Callable[..., Result], command: str) -> None:
    done = run("devices", command, "dev-nobody")
    assert done.exit_code == 1
    assert "dev-nobody" in done.stderr


def test_tls_init_writes_what_serving_needs(tmp_path: Path) -> None:
    words = ["tls", "init", "--host", "localhost", "--host", "127.0.0.1", "--state-dir", str(tmp_path)]
    made = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert (tmp_path / "tls" / "server-key.pem").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "authority.pem").stat().st_mode & 0o777 == 0o600
    assert b"PRIVATE" not in (tmp_path / "tls" / "authority.pem").read_bytes()
    context = ssl.create_default_context(cafile=made["authority"])
    context.load_cert_chain(made["ZTFM_TLS_CERT_FILE"], made["ZTFM_TLS_KEY_FILE"])
    authority = (tmp_path / "authority.pem").read_bytes()
    shown = CliRunner().invoke(app, words).stdout
    assert f"export ZTFM_TLS_CERT_FILE={made['ZTFM_TLS_CERT_FILE']}" in shown
    assert (tmp_path / "authority.pem").read_bytes() == authority, "again keeps the authority"


def test_tls_init_says_what_is_wrong(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["tls", "init", "--host", "ü.example", "--state-dir", str(tmp_path)])
    assert done.exit_code == 1
    (tmp_path / "authority.pem").write_text("nothing")
    (tmp_path / "authority.pem").chmod(0o600)
    done = CliRunner().invoke(app, ["tls", "init", "--host", "localhost", "--state-dir", str(tmp_path)])
    assert done.exit_code == 1
    assert "authority" in done.stderr


def test_it_lists_who_is_enrolled_by_status_and_in_pages(
    served: ControlPlane, run: Callable[..., Result], device: Caller
) -> None:
    def listed(*words: str) -> tuple[list[str], bool]:
        told = json.loads(run("devices", "list", *words, "--json").stdout)
        return [item["id"] for item in told["devices"]], told["more"]

    served.enrol("consumer")
    everybody, is_more = listed()
    assert device.id in everybody
    assert everybody == sorted(everybody)
    assert not is_more
    assert listed("--limit", "1") == (everybody[:1], True)
    assert listed("--after", everybody[0]) == (everybody[1:], False)
    assert device.id not in listed("--status", "quarantined")[0]
    run("devices", "quarantine", device.id)
    assert device.id in listed("--status", "quarantined")[0]
    shown = run("devices", "list", "--limit", "1")
    assert everybody[0] in shown.stdout, "whole, also on a narrow terminal"
    assert f"--after {everybody[0]}" in shown.stderr


@pytest.mark.parametrize("words", [("devices", "list"), ("devices", "show", "dev-x"), ("keys", "list")])
def test_a_mistyped_state_folder_is_said_and_not_made(tmp_path: Path, words: tuple[str, ...]) -> None:
    nowhere = tmp_path / "stat"
    done = CliRunner().invoke(app, [*words, "--state-dir", str(nowhere)])
    assert done.exit_code == 1
    assert "--state-dir" in done.stderr
    assert not nowhere.exists()


def test_it_says_why_a_device_stands_where_it_does(
    served: ControlPlane, run: Callable[..., Result], device: Caller
) -> None:
    quiet = run("devices", "why", device.id).stdout
    assert quiet.startswith(f"{device.id} is watched: ")
    assert "nothing about it was remarkable" in quiet
    said = verdict(device.id, state="quarantined")
    apart = observed(device.id, becomes="quarantined", e_value=60.0, verdict=said)
    served.run(served.services.registry.record_behaviour([apart]))
    told = run("devices", "why", device.id).stdout
    assert f"{device.id} is quarantined since 2026-01-01 00:00:00 UTC: policy set it apart" in told
    assert "evidence against it  60 (access 1, updates 1.75)" in told
    assert "updates, round r1: trusted -> quarantined, p 0.004, evidence 2.5, decision dec-1" in told
    assert "It points the other way. Likely: sign_flip, 90% sure." in told
    document = json.loads(run("devices", "why", device.id, "--json").stdout)
    assert (document["state"], document["verdicts"][0]["attribution"]["attack"]) == ("quarantined", "sign_flip")
    listed = json.loads(run("devices", "list", "--status", "quarantined", "--json").stdout)["devices"]
    assert {one["id"]: one["state"] for one in listed}[device.id] == "quarantined"
    assert "quarantined" in run("devices", "list").stdout


def test_it_says_whom_a_person_set_apart_and_that_only_a_person_lets_back(
    run: Callable[..., Result], device: Caller
) -> None:
    run("devices", "quarantine", device.id)
    assert f"{device.id}  held" in run("devices", "list").stdout
    assert f"`ztfm devices release {device.id}`" in run("devices", "why", device.id).stdout
    run("devices", "release", device.id)
    assert "is watched" in run("devices", "why", device.id).stdout
    run("devices", "revoke", device.id)
    assert "is revoked" in run("devices", "why", device.id).stdout


def test_no_two_words_of_a_verdict_depend_on_the_terminal() -> None:
    found = DeviceBehaviour(
        subject="dev-a",
        segment="homes",
        status="active",
        held=False,
        state="recovering",
        since=NOW,
        e_value=1.0,
        trust=LOW,
        observed_at=NOW,
        e_values={},
        conforming=4.0,
        deviating=0.0,
        verdicts=[
            verdict("dev-a", channel="inference", round_id=None, p_value=None, attribution=None),
            verdict("dev-a", attribution=attribution(atlas="AML.T0020", owasp="LLM04:2025")),
        ],
    )
    told = list(lines(found))
    assert told[0].startswith("dev-a is recovering since 2026-01-01 00:00:00 UTC: on probation")
    assert told[-4:] == [
        "2026-01-01 00:01:00 UTC  inference: trusted -> watched, evidence 2.5, decision dec-1",
        "    Nothing about it was remarkable.",
        "2026-01-01 00:01:00 UTC  updates, round r1: trusted -> watched, p 0.004, evidence 2.5, decision dec-1",
        "    It points the other way. Likely: sign_flip, 90% sure (AML.T0020, LLM04:2025).",
    ]


def test_it_lists_whom_it_trusts_least_where_they_stand_and_where_they_live(
    served: ControlPlane, run: Callable[..., Result]
) -> None:
    devices = [served.enrol("gateway") for _ in range(3)]
    seen = [
        observed(one.id, trust=Trust(score=score, observations=7), becomes="recovering")
        for one, score in zip(devices, (0.02, 0.01, 0.02), strict=True)
    ]
    served.run(served.services.registry.record_behaviour(seen))

    def listed(*words: str) -> tuple[list[str], bool]:
        told = json.loads(run("devices", "list", "--segment", "core", *words, "--json").stdout)
        return [item["id"] for item in told["devices"]], told["more"]

    tied = sorted([devices[0].id, devices[2].id])
    everybody = [devices[1].id, *tied]
    assert listed("--sort", "trust", "--limit", "3")[0] == everybody
    assert listed("--sort", "trust", "--below", "0.02") == ([devices[1].id], False)
    assert listed("--sort", "trust", "--below", "0.05", "--after", tied[0]) == ([tied[1]], False)
    assert set(listed("--state", "recovering")[0]) == set(everybody)
    assert listed("--state", "held") == ([], False)
    assert devices[0].id not in json.dumps(listed("--state", "watched"))
    run("devices", "quarantine", devices[0].id)
    assert listed("--state", "held") == ([devices[0].id], False)
    shown = run("devices", "list", "--segment", "core", "--sort", "trust", "--limit", "1").stdout
    assert f"{devices[1].id}  recovering  0.010 after 7" in shown
    assert devices[0].id not in run("devices", "list", "--segment", "homes").stdout


def test_it_finds_devices_by_a_part_of_their_name_and_by_when_they_came(
    run: Callable[..., Result], device: Caller
) -> None:
    def listed(*words: str) -> tuple[list[str], int]:
        told = json.loads(run("devices", "list", *words, "--json").stdout)
        return [one["id"] for one in told["devices"]], told["total"]

    assert listed("--text", device.id[4:20].upper()) == ([device.id], 1)
    assert listed("--text", "%") == ([], 0)
    assert device.id in listed("--since", "1h", "--segment", "homes")[0]
    assert listed("--since", "2100-01-01") == ([], 0)
    for words, what in (
        (("--text", "\x00"), "--text"),
        (("--segment", "A B"), "--segment"),
        (("--since", "x"), "date"),
    ):
        refused = run("devices", "list", *words)
        assert (refused.exit_code, what in refused.stderr) == (2, True)


def test_what_happened_to_a_device_is_listed_newest_first(run: Callable[..., Result], device: Caller) -> None:
    run("devices", "quarantine", device.id)
    told = json.loads(run("devices", "changes", "--device", device.id, "--json").stdout)
    assert [one["kind"] for one in told["changes"]] == ["status", "enrolled"]
    assert json.loads(run("devices", "changes", "--since", "2100-01-01", "--json").stdout)["changes"] == []
    shown = run("devices", "changes", "--device", device.id).stdout
    assert device.id in shown
    assert "enrolled" in shown
    assert run("devices", "changes", "--since", "soon").exit_code == 2


def test_a_device_s_updates_are_told_round_by_round(
    served: ControlPlane, run: Callable[..., Result], device: Caller
) -> None:
    assert "no update is on record" in run("devices", "updates", device.id).output
    trainer, aggregator = served.enrol("trainer"), served.enrol("aggregator")
    aggregator.open_round("updates-of-one", [trainer])
    token = trainer.capability("gradient_submission", round_id="updates-of-one").expect(201)["access_token"]
    report = {"updates": [served.report(trainer, token)]}
    aggregator.post("/v1/rounds/updates-of-one/updates", report).expect(200)
    [told] = json.loads(run("devices", "updates", trainer.id, "--json").stdout)["updates"]
    assert (told["round_id"], told["outcome"], told["evidence"]["cosine"]) == ("updates-of-one", "allow", 0.8)
    assert "updates-of-one" in run("devices", "updates", trainer.id).stdout
