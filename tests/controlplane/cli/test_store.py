"""``ztfm store``: what a control plane used up does not count again when it comes back from a backup."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from controlplane.audit.remembered import HEAD_FILE
from controlplane.witnessing import KEY_FILE
from tests.controlplane.api.oauth_client import OAuthClient
from tests.controlplane.cli.stores import store_with
from tests.support import SEGMENTS, Caller, ControlPlane, running, wait_until

Quick = Callable[..., Result]

URL = "http://control.example:8181"
"""The same before and after, as capabilities name it."""


def document(done: Result) -> Any:
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def signed_entries(state: Path) -> int:
    """Return how many entries the last head stands for; 0 where there is none."""
    lines = (state / HEAD_FILE).read_text().splitlines() if (state / HEAD_FILE).exists() else []
    return int(lines[1]) if lines else 0


def wait_for_a_head(plane: ControlPlane) -> None:
    size = plane.run(plane.store.log.size())
    wait_until(lambda: signed_entries(plane.state) >= size, what="a head of what there is")


def enrolled(plane: ControlPlane, token: str) -> int:
    caller = plane.stranger()
    return caller.post("/v1/devices", {"token": token, "roles": ["trainer"], "segment": SEGMENTS["trainer"]}).status


def is_active(gateway: Caller, capability: str) -> bool:
    return bool(OAuthClient(gateway).send("/oauth/introspect", {"token": capability}).expect(200)["active"])


def test_a_plane_that_comes_back_from_a_backup_accepts_nothing_again_and_forks_no_log(
    quick: Quick, state: Path, tmp_path: Path
) -> None:
    backup = tmp_path / "backup.db"
    with running(state=state, log_seconds=0.05, public_url=URL) as plane:
        token, device, gateway = (
            plane.token(["trainer"], SEGMENTS["trainer"]),
            plane.enrol("consumer"),
            plane.enrol("gateway"),
        )
        capability = str(OAuthClient(device).exchange().expect(200)["access_token"])
        assert is_active(gateway, capability)
        wait_for_a_head(plane)
        assert document(quick("store", "backup", str(backup), "--json"))["keys_elsewhere"]
        assert enrolled(plane, token) == 201
        assert quick("devices", "quarantine", device.id).exit_code == 0
        wait_for_a_head(plane)
        told = plane.run(plane.store.events.bounds())[1]
        refused = quick("store", "restore", str(backup))
        assert refused.exit_code == 1
        assert "in use" in refused.stderr
    refused = quick("store", "restore", str(backup))
    assert refused.exit_code == 1
    assert "second history" in refused.stderr
    assert quick("store", "restore", str(backup), "--log", "same").exit_code == 1
    assert sorted(one.name for one in state.iterdir() if one.name.startswith((".", "ztfm.db"))) == ["ztfm.db"]
    key = (state / KEY_FILE).read_bytes()

    done = document(quick("store", "restore", str(backup), "--log", "new", "--json"))
    assert done["set_apart_since"] == [{"device": device.id, "status": "quarantined"}]
    assert Path(done["aside"]).exists()
    assert len(done["keys"]) == 1
    assert done["forgotten"]["enrolment_tokens"] >= 1

    with running(state=state, log_seconds=0.05, public_url=URL) as plane:
        assert enrolled(plane, token) in {401, 403}
        gateway = Caller(plane, gateway.key, gateway.id)
        assert not is_active(gateway, capability)
        rows = plane.run(plane.store.events.after(told))
        assert any(b"credential-change" in row[2] for row in rows), "whoever saw the last event is told"
        wait_for_a_head(plane)
        assert (state / KEY_FILE).read_bytes() != key
        checked = document(quick("audit", "check", "--json"))
        assert checked["sound"]
        assert checked["entries"] > done["entries"] - 1


def test_a_backup_that_is_as_new_as_the_last_head_goes_on_with_the_same_log(
    quick: Quick, state: Path, tmp_path: Path
) -> None:
    with running(state=state, log_seconds=0.05) as plane:
        plane.enrol("trainer")
        wait_for_a_head(plane)
        document(quick("store", "backup", str(tmp_path / "backup.db"), "--json"))
    key = (state / KEY_FILE).read_bytes()
    for one in state.glob("ztfm.db*"):
        one.unlink()
    done = document(quick("store", "restore", str(tmp_path / "backup.db"), "--json"))
    assert (done["log"], done["aside"], done["set_apart_since"]) == ("same", None, None)
    assert (state / KEY_FILE).read_bytes() == key
    (state / HEAD_FILE).unlink()
    refused = quick("store", "reopen")
    assert refused.exit_code == 1
    assert "does not remember" in refused.stderr
    assert document(quick("store", "reopen", "--log", "same", "--json"))["log"] == "same"


def test_a_changed_backup_is_not_put_back(quick: Quick, state: Path, tmp_path: Path) -> None:
    rows = [(f"dec-{number}", 1.0 + number, "inference", "dev-1", "allow", b"%d" % number) for number in range(3)]
    store_with(state, rows)
    assert quick("keys", "rotate").exit_code == 0
    backup = tmp_path / "backup.db"
    document(quick("store", "backup", str(backup), "--json"))
    with sqlite3.connect(backup) as changed:
        changed.execute("UPDATE decisions SET document = 'x' WHERE id = 'dec-1'")
    changed.close()
    refused = quick("store", "restore", str(backup), "--log", "new")
    assert refused.exit_code == 1
    assert "decision dec-1" in refused.stderr
    assert "aside" not in refused.output
    assert [one.name for one in state.glob("*.db*")] == ["ztfm.db"]


@pytest.mark.parametrize(
    ("found", "status", "stands"), [("0014", 0, "older"), ("r2_9001", 0, "next"), ("r3_9002", 1, "unknown")]
)
def test_it_says_which_schema_there_is_and_changes_nothing(
    quick: Quick, state: Path, found: str, status: int, stands: str
) -> None:
    store_with(state, [])
    with sqlite3.connect(state / "ztfm.db") as opened:
        opened.execute("UPDATE alembic_version SET version_num = ?", (found,))
    opened.close()
    done = quick("store", "status", "--json")
    assert done.exit_code == status
    shown = json.loads(done.stdout)
    assert (shown["schema"], shown["stands"], shown["served"]) == (found, stands, status == 0)
    assert quick("store", "status").exit_code == status


def test_a_store_is_brought_to_this_version(quick: Quick, state: Path) -> None:
    store_with(state, [])
    assert document(quick("store", "migrate", "--json"))["stands"] == "current"


@pytest.mark.parametrize("command", ["status", "migrate", "backup x", "restore x", "reopen"])
def test_where_there_is_no_store_it_says_so(quick: Quick, tmp_path: Path, command: str) -> None:
    done = quick("store", *command.split(), "--state-dir", str(tmp_path / "nowhere"))
    assert done.exit_code == 1
    assert f"ztfm store {command.split()[0]}: " in done.stderr
    assert not (tmp_path / "nowhere").exists()


def test_postgresql_is_backed_up_with_its_own_tools(quick: Quick) -> None:
    url = "postgresql+asyncpg://ztfm:hidden@127.0.0.1:1/ztfm"
    for command, tool in (("backup", "pg_dump"), ("restore", "pg_restore")):
        done = quick("store", command, "x", ZTFM_DATABASE_URL=url)
        assert done.exit_code == 1
        assert tool in done.stderr
        assert "hidden" not in done.output
