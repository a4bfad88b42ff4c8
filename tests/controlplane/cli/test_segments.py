"""``ztfm segments``: places on the store, the table and what it lets through over the API, and the router's kernel."""

import json
import re
import time
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from controlplane.cli import segments_enforced
from controlplane.cli.commands import app
from controlplane.contracts.segmentation import GrantTable
from controlplane.segmentation.tables import table_of
from tests.controlplane.cli.operators import enrol
from tests.controlplane.segmentation.tables import CAMERA, SERVICES, cut, grant
from tests.support import Caller, ControlPlane, running, wait_until

SIZE = {"prompt_tokens": 8, "max_output_tokens": 8}


@pytest.fixture(scope="module")
def served() -> Iterator[ControlPlane]:
    with running() as plane:
        yield plane


@pytest.fixture(scope="module")
def key(served: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(enrol(served, tmp_path_factory.mktemp("operator"), "operator"))


@pytest.fixture(scope="module")
def camera(served: ControlPlane) -> Caller:
    """A device that is attached by the command, and has a capability for a service."""
    device = served.enrol("consumer")
    place("set", device.id, "--address", "192.168.5.5", "--site", "house-1", "--device-class", "camera", served=served)
    wait_until(lambda: len(served.services.segmentation.attached) == 1)
    device.capability("inference", audience="gateway-1", inference=SIZE).expect(201)
    return device


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A table in a file, of now."""
    now = time.time()
    grants = [grant(1, CAMERA, "aggregator").model_copy(update={"expires_at": now + 600.0})]
    table = table_of(SERVICES, grants, [cut(9, "10.0.4.4")], policy_revision="rev-1", made_at=now)
    path = tmp_path / "table.json"
    path.write_text(table.model_dump_json(exclude_none=True))
    return path


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["segments", *words])


def place(*words: str, served: ControlPlane) -> Result:
    return run("attachments", *words, "--state-dir", str(served.state))


def document(done: Result) -> Any:
    """Return what was printed as JSON; the control plane of this process may log in between."""
    assert done.exit_code == 0, done.output
    return json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))


def test_a_place_is_set_listed_and_removed(served: ControlPlane, camera: Caller) -> None:
    other = served.enrol("consumer")
    words = ("--address", "192.168.5.6", "--site", "plant-1", "--line", "line-2", "--device-class", "robot", "--json")
    kept = document(place("set", other.id, *words, served=served))
    assert (kept["device"], kept["line"]) == (other.id, "line-2")
    assert kept in document(place("list", "--json", served=served))["attachments"]
    assert "plant-1/line-2" in place("list", served=served).stdout
    assert place("remove", other.id, served=served).exit_code == 0
    again = place("remove", other.id, served=served)
    assert (again.exit_code, "not known" in again.output) == (1, True)


@pytest.mark.parametrize(
    ("address", "status", "why"),
    [("192.168.5.5", 1, "another device"), ("127.0.0.1", 2, "one host"), ("192.168.5.05", 2, "192.168.5.05")],
)
def test_an_address_that_cannot_be_is_refused(
    served: ControlPlane, camera: Caller, address: str, status: int, why: str
) -> None:
    other = served.enrol("consumer")
    done = place("set", other.id, "--address", address, "--site", "x", "--device-class", "y", served=served)
    assert (done.exit_code, why in done.output) == (status, True), done.output


def test_the_table_and_what_it_lets_through_are_shown(served: ControlPlane, camera: Caller, key: str) -> None:
    shown = run("table", "--key", key).stdout
    assert f"{camera.id}  192.168.5.5 -> gateway" in shown
    assert "everything else is dropped" in shown
    assert [one["service"] for one in document(run("table", "--key", key, "--json"))["grants"]] == ["gateway"]
    found = document(run("reach", "--key", key, "--device-class", "camera", "--service", "gateway", "--json"))
    assert [one["reach"]["reaches"] for one in found["reaches"]] == [True]
    closed = run("reach", "--key", key, "--device-class", "camera", "--service", "aggregator")
    assert closed.exit_code == 1
    assert "does not" in closed.stdout


def test_who_shows_no_key_is_told_which_to_name(tmp_path: Path) -> None:
    for command in ("table", "reach"):
        done = run(command)
        assert (done.exit_code, "--key" in done.output) == (2, True)
    assert run("table", "--key", str(tmp_path)).exit_code == 1
    assert run("reach", "--key", str(tmp_path)).exit_code == 2


@pytest.mark.parametrize(
    ("form", "part"),
    [
        ("nftables", "table inet ztfm"),
        ("kubernetes", '"NetworkPolicy"'),
        ("cilium", '"CiliumNetworkPolicy"'),
        ("nginx", "geo $ztfm_aggregator"),
        ("json", '"policy_revision"'),
        ("summary", "1 grants, 1 cuts"),
    ],
)
def test_a_table_of_a_file_is_printed_for_each_enforcement_point(file: Path, form: str, part: str) -> None:
    done = run("table", "--file", str(file), "--as", form)
    assert done.exit_code == 0, done.output
    assert part in done.stdout
    assert form in {"wireguard", "summary"} or CAMERA in done.stdout


def test_a_clock_behind_the_one_that_made_a_table_lets_no_grant_live_longer(file: Path) -> None:
    made = GrantTable.model_validate_json(file.read_text())
    ahead = made.model_copy(update={"made_at": time.time() + 9000.0})
    longest = 60
    ends = {"expires_at": ahead.made_at + longest}
    file.write_text(ahead.model_copy(update={"grants": [made.grants[0].model_copy(update=ends)]}).model_dump_json())
    timeouts = re.findall(r"timeout (\d+)s", run("table", "--file", str(file), "--as", "nftables").stdout)
    assert timeouts
    assert max(map(int, timeouts)) <= longest
    words = ("reach", "--file", str(file), "--source", made.grants[0].source, "--json")
    for one in document(run(*words))["reaches"]:
        assert (one["reach"].get("until") or 0) <= ahead.made_at + longest


def test_a_file_answers_what_an_address_reaches_and_is_read_strictly(file: Path, tmp_path: Path) -> None:
    words = ("reach", "--file", str(file), "--source", CAMERA)
    reached = document(run(*words, "--service", "aggregator", "--json"))
    assert {one["reach"]["port"] for one in reached["reaches"] if one["reach"]["reaches"]} == {8080, 9092}
    assert all(ip_address(one["reach"]["destination"]).version == 4 for one in reached["reaches"])
    assert run(*words, "--service", "gateway").exit_code == 1
    exact = ("--destination", SERVICES["aggregator"].addresses[0], "--port", "8080")
    assert run(*words, *exact).exit_code == 0
    assert run(*words, *exact, "--protocol", "udp").exit_code == 1
    assert run("reach", "--file", str(file), "--source", "nowhere").exit_code == 2
    assert run("reach", "--file", str(file), "--site", "plant-1").exit_code == 2
    broken = tmp_path / "broken.json"
    broken.write_text(file.read_text().replace('"made_at"', '"made_then"'))
    for command in (("table",), ("reach", "--source", CAMERA)):
        done = run(*command, "--file", str(broken))
        assert done.exit_code == (1 if command[0] == "table" else 2)
        assert "made_at" in done.output


def test_the_routers_part_is_handed_the_table_and_its_status_is_ours(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[list[str]] = []

    class Enforcer:
        """Stands for the router's part, which would change this machine's kernel."""

        @staticmethod
        def main(arguments: list[str]) -> int:
            given.append(arguments)
            return 1

    monkeypatch.setattr(segments_enforced, "import_module", lambda name: Enforcer)
    for command in ("plan", "apply", "verify"):
        assert run(command, "--file", str(file), "--json").exit_code == 1
        assert run(command, str(tmp_path)).exit_code == 1
        assert run(command).exit_code == run(command, str(tmp_path), "--file", str(file)).exit_code == 2
    assert given[:2] == [["plan", "--table", str(file), "--json"], ["plan", str(tmp_path)]]
    assert [words[0] for words in given] == ["plan", "plan", "apply", "apply", "verify", "verify"]


def test_the_table_of_a_file_is_the_one_that_the_api_gives(
    served: ControlPlane, camera: Caller, key: str, tmp_path: Path
) -> None:
    path = tmp_path / "table.json"
    path.write_text(run("table", "--key", key, "--as", "json").stdout.splitlines()[-1])
    assert GrantTable.model_validate_json(path.read_text()).services.keys() == {"aggregator", "gateway"}
    assert run("reach", "--file", str(path), "--source", "192.168.5.5", "--service", "gateway").exit_code == 0
