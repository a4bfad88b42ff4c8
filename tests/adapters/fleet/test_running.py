"""A fleet is enrolled at a real control plane: each device once, whatever ends a run."""

import csv
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.fleet import FleetError, Outcome
from adapters.fleet.folders import Station
from adapters.fleet.journal import Journal
from adapters.member import Member
from controlplane.api.services import EdgeLimits
from controlplane.capabilities.keyfiles import create_private
from controlplane.jose.keys import DeviceKey
from tests.adapters.fleet.between import between
from tests.adapters.fleet.conftest import administrator, journalled, trainers
from tests.support import UNLIMITED, ControlPlane, running

Fleet, Run = Callable[..., Path], Callable[..., Outcome]


def devices(plane: ControlPlane) -> set[str]:
    """Everybody who is enrolled."""
    return {device.id for device in plane.run(plane.store.devices.page(limit=100_000))}


@pytest.fixture
def station(tmp_path: Path) -> Path:
    return tmp_path / "station"


def test_every_device_is_enrolled_as_the_file_states_it(
    plane: ControlPlane, fleet: Fleet, run: Run, station: Path
) -> None:
    rows = [*trainers(20), ["gate-1", "gateway", "core"], ["both", "trainer consumer", "homes"]]
    outcome = run(fleet(rows))
    assert (outcome.enrolled, outcome.failed, outcome.left, outcome.is_complete) == (22, 0, 0, True)
    for name, roles, segment in (rows[0], rows[-2], rows[-1]):
        with Member.open(station / "devices" / name) as member:
            found = member.plane.device(member.id)
            assert (found.roles, found.segment, found.status) == (roles.split(), segment, "active")
    assert len({entry["id"] for entry in journalled(station)}) == 22
    assert not (station / "errors.csv").exists()


def test_everything_in_the_stations_folder_is_its_owners_alone(fleet: Fleet, run: Run, station: Path) -> None:
    run(fleet(trainers(2)))
    modes = {path.relative_to(station).as_posix(): path.stat().st_mode & 0o777 for path in station.rglob("*")}
    assert modes.pop("journal.ndjson") == 0o600
    assert {mode for name, mode in modes.items() if name.endswith((".pem", ".json"))} == {0o600}
    assert {mode for name, mode in modes.items() if not name.endswith((".pem", ".json"))} == {0o700}


def test_a_second_run_asks_for_nothing(plane: ControlPlane, fleet: Fleet, run: Run) -> None:
    file = fleet(trainers(5))
    run(file)
    issued = plane.metric("ztfm_enrolment_tokens_issued_total")
    again = run(file)
    assert (again.before, again.enrolled, again.is_complete) == (5, 0, True)
    assert plane.metric("ztfm_enrolment_tokens_issued_total") == issued


def test_no_more_tokens_are_issued_than_devices_need_them(plane: ControlPlane, fleet: Fleet, run: Run) -> None:
    rows = [[*row, ""] for row in trainers(7)]
    rows[3][3] = plane.token(["trainer"], "homes")
    before = plane.metric("ztfm_enrolment_tokens_issued_total")
    assert run(fleet(rows, columns="name,roles,segment,token")).enrolled == 7
    assert plane.metric("ztfm_enrolment_tokens_issued_total") - before == 6


def test_what_was_added_to_the_file_is_enrolled_by_the_next_run(fleet: Fleet, run: Run) -> None:
    run(fleet(trainers(3)))
    outcome = run(fleet(trainers(5)))
    assert (outcome.before, outcome.enrolled, outcome.is_complete) == (3, 2, True)


def test_what_died_before_it_was_written_down_is_found_and_not_enrolled_twice(
    plane: ControlPlane, fleet: Fleet, run: Run, station: Path
) -> None:
    file = fleet(trainers(6))
    run(file)
    there, kept = devices(plane), {entry["name"]: entry["id"] for entry in journalled(station)}
    journal = station / "journal.ndjson"
    # The beginning and two devices are left, and a piece of a third.
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:3]) + lines[3][:20])
    lost = json.loads(lines[5])["name"]
    (station / "devices" / lost / "identity.json").unlink()
    outcome = run(file)
    assert (outcome.before, outcome.enrolled, outcome.found, outcome.is_complete) == (2, 4, 4, True)
    assert {entry["name"]: entry["id"] for entry in journalled(station)} == kept
    assert devices(plane) == there
    for name in kept:
        with Member.open(station / "devices" / name) as member:
            assert member.id == kept[name]


def test_a_token_that_a_lost_run_used_is_not_held_against_its_device(
    plane: ControlPlane, fleet: Fleet, run: Run, station: Path
) -> None:
    rows = [[*row, plane.token(["trainer"], "homes")] for row in trainers(3)]
    file = fleet(rows, columns="name,roles,segment,token")
    assert run(file, admin=None, url=plane.url).enrolled == 3
    (station / "journal.ndjson").unlink()
    outcome = run(file, admin=None, url=plane.url)
    assert (outcome.enrolled, outcome.found, outcome.failed) == (3, 3, 0)


def test_a_key_that_was_made_before_a_death_is_the_one_that_is_enrolled(fleet: Fleet, run: Run, station: Path) -> None:
    key, is_new = Station(station).key("cam-1", None)
    assert is_new
    assert run(fleet(trainers(3))).found == 0
    assert {entry["id"] for entry in journalled(station)} > {f"dev-{key.thumbprint}"}


def test_answers_that_get_lost_lose_and_double_nobody(
    plane: ControlPlane, fleet: Fleet, run: Run, station: Path
) -> None:
    there = devices(plane)
    with between(plane.url, loses=lambda number: number > 2 and number % 5 in {0, 1}) as socket:
        outcome = run(fleet(trainers(20)), options={"socket": socket}, at_once=1)
    assert (outcome.enrolled, outcome.failed, outcome.ended) == (20, 0, "done")
    assert outcome.found > 0
    assert len(devices(plane) - there) == 20


def test_a_control_plane_that_comes_back_in_time_is_waited_for(plane: ControlPlane, fleet: Fleet, run: Run) -> None:
    with between(plane.url, later_seconds=1.0) as socket:
        outcome = run(fleet(trainers(3)), options={"socket": socket})
    assert (outcome.enrolled, outcome.is_complete) == (3, True)


def test_a_control_plane_that_stays_away_ends_the_run_and_no_line_is_to_blame(
    fleet: Fleet, run: Run, tmp_path: Path, station: Path
) -> None:
    file = fleet(trainers(3))
    outcome = run(file, options={"socket": tmp_path / "nobody"}, patience_seconds=0.3)
    assert (outcome.ended, outcome.failed, outcome.left, outcome.is_complete) == ("given_up", 0, 3, False)
    assert "the same command goes on" in outcome.why
    assert journalled(station) == []
    assert run(file).enrolled == 3


def test_a_busy_control_plane_is_waited_for_as_long_as_it_says(fleet: Fleet, run: Run, tmp_path: Path) -> None:
    with running(limits=EdgeLimits(stranger_rate=10.0, stranger_burst=4.0)) as busy:
        admin = administrator(busy, tmp_path / "busy")
        outcome = run(fleet(trainers(16)), admin=admin)
        refused = busy.metric("ztfm_http_requests_total", route="/v1/devices", method="POST", status="429")
    assert (outcome.enrolled, outcome.failed) == (16, 0)
    assert outcome.seconds > 1.0
    # Whoever did not wait would have asked some hundred times meanwhile.
    assert 0 < refused < 40


def test_what_policy_denies_is_reported_by_line_and_the_others_are_enrolled(
    fleet: Fleet, run: Run, station: Path
) -> None:
    rows = [*trainers(3), ["lost", "trainer", "nowhere"], ["wrong", "aggregator", "homes"], *trainers(2, "tail")]
    outcome = run(fleet(rows))
    assert (outcome.enrolled, outcome.failed, outcome.ended, outcome.is_complete) == (5, 2, "done", False)
    with (station / "errors.csv").open(newline="") as file:
        found = {row["name"]: row for row in csv.DictReader(file)}
    assert {name: row["line"] for name, row in found.items()} == {"lost": "5", "wrong": "6"}
    assert "roles_fit_segment" in found["lost"]["what"]
    assert "roles_fit_segment" in found["wrong"]["what"]
    assert all(row["remedy"] for row in found.values())
    failed = [entry for entry in journalled(station) if entry["state"] == "failed"]
    assert {(entry["line"], entry["what"]) for entry in failed} == {(int(r["line"]), r["what"]) for r in found.values()}


def test_a_line_that_failed_is_enrolled_once_it_is_corrected(fleet: Fleet, run: Run, station: Path) -> None:
    assert run(fleet([*trainers(2), ["late", "trainer", "nowhere"]])).failed == 1
    outcome = run(fleet([*trainers(2), ["late", "trainer", "homes"]]))
    assert (outcome.before, outcome.enrolled, outcome.is_complete) == (2, 1, True)
    assert not (station / "errors.csv").exists()


def test_a_token_that_was_used_by_another_fails_its_line(plane: ControlPlane, fleet: Fleet, run: Run) -> None:
    spent = plane.token(["trainer"], "homes")
    key = DeviceKey.generate()
    document = {"token": spent, "roles": ["trainer"], "segment": "homes"}
    plane.call("POST", "/v1/devices", document, key=key).expect(201)
    outcome = run(
        fleet([["cam-1", "trainer", "homes", spent]], columns="name,roles,segment,token"), admin=None, url=plane.url
    )
    assert (outcome.enrolled, outcome.failed) == (0, 1)
    assert "token_unused" in outcome.faults[0].what
    assert spent not in str(outcome.faults)


def test_a_given_key_is_enrolled_and_stays_where_it_is(
    plane: ControlPlane, fleet: Fleet, run: Run, tmp_path: Path, station: Path
) -> None:
    key = DeviceKey.generate()
    create_private(tmp_path / "given.pem", key.to_pem())
    create_private(tmp_path / "other.pem", b"-----BEGIN PRIVATE KEY-----\nnone\n-----END PRIVATE KEY-----\n")
    rows = [["cam-1", "trainer", "homes", "given.pem"], ["cam-2", "trainer", "homes", "other.pem"]]
    outcome = run(fleet(rows, columns="name,roles,segment,key"))
    assert (outcome.enrolled, outcome.failed) == (1, 1)
    assert "holds no P-256 private key" in outcome.faults[0].what
    assert f"dev-{key.thumbprint}" in devices(plane)
    assert [path.name for path in (station / "devices" / "cam-1").iterdir()] == ["identity.json"]


def test_a_given_key_that_others_can_read_is_found_before_anything_is_asked(
    fleet: Fleet, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "open.pem").write_bytes(DeviceKey.generate().to_pem())
    (tmp_path / "open.pem").chmod(0o640)
    outcome = run(fleet([["cam-1", "trainer", "homes", "open.pem"]], columns="name,roles,segment,key"))
    assert (outcome.ended, outcome.failed) == ("invalid", 1)
    assert "chmod 600" in outcome.faults[0].what


def test_a_key_that_is_enrolled_as_something_else_is_not_taken_for_the_device(
    plane: ControlPlane, fleet: Fleet, run: Run, station: Path
) -> None:
    run(fleet(trainers(1)))
    (station / "journal.ndjson").unlink()
    outcome = run(fleet([["cam-0", "consumer", "homes"]]))
    assert (outcome.enrolled, outcome.failed) == (0, 1)
    assert "is enrolled as trainer in homes" in outcome.faults[0].what


def test_a_revoked_key_is_not_taken_for_an_enrolled_device(
    plane: ControlPlane, fleet: Fleet, run: Run, station: Path
) -> None:
    run(fleet(trainers(1)))
    plane.run(plane.services.registry.set_status(journalled(station)[0]["id"], "revoked"))
    (station / "journal.ndjson").unlink()
    outcome = run(fleet(trainers(1)))
    assert (outcome.enrolled, outcome.failed) == (0, 1)
    assert "not active" in outcome.faults[0].what
    shutil.rmtree(station / "devices" / "cam-0")
    assert run(fleet(trainers(1))).enrolled == 1


def test_a_device_is_not_made_something_else_by_changing_its_line(fleet: Fleet, run: Run, station: Path) -> None:
    run(fleet(trainers(2)))
    outcome = run(fleet([*trainers(1), ["cam-1", "consumer", "homes"]]))
    assert (outcome.ended, outcome.failed) == ("invalid", 1)
    assert outcome.faults[0].line == 3


def test_whoever_may_not_issue_tokens_enrols_nobody(
    plane: ControlPlane, fleet: Fleet, run: Run, tmp_path: Path
) -> None:
    Member.enrol(tmp_path / "nobody", plane.url, plane.token(["trainer"], "homes")).close()
    outcome = run(fleet(trainers(3)), admin=tmp_path / "nobody")
    assert (outcome.ended, outcome.enrolled, outcome.left) == ("given_up", 0, 3)
    assert "given no tokens for trainer" in outcome.why


def test_a_station_whose_clock_is_wrong_is_told_so_and_no_line_is_to_blame(
    plane: ControlPlane, fleet: Fleet, run: Run
) -> None:
    rows = [[*row, plane.token(["trainer"], "homes")] for row in trainers(3)]
    file = fleet(rows, columns="name,roles,segment,token")
    late = {"clock": lambda: time.time() - 3600.0}
    outcome = run(file, admin=None, url=plane.url, options=late)
    assert (outcome.ended, outcome.enrolled, outcome.failed) == ("given_up", 0, 0)
    assert "does not take this station's proofs" in outcome.why
    assert run(file, admin=None, url=plane.url).enrolled == 3


def test_nothing_is_asked_where_one_line_is_wrong(plane: ControlPlane, fleet: Fleet, run: Run, station: Path) -> None:
    there = devices(plane)
    outcome = run(fleet([*trainers(3), ["cam-1", "trainer", "homes"], ["x y", "trainer", "homes"]]))
    assert (outcome.ended, outcome.failed, outcome.enrolled) == ("invalid", 2, 0)
    assert len(devices(plane) - there) == 0
    assert list((station / "devices").iterdir()) == []


def test_two_runs_do_not_share_a_folder(fleet: Fleet, run: Run, station: Path) -> None:
    with Journal(Station(station).journal), pytest.raises(FleetError, match="another run"):
        run(fleet(trainers(1)))


def test_a_folder_is_for_one_control_plane(plane: ControlPlane, fleet: Fleet, run: Run) -> None:
    run(fleet(trainers(1)))
    with pytest.raises(FleetError, match="give another --out"):
        run(fleet(trainers(2)), url=plane.url.replace("127.0.0.1", "localhost"))


def test_a_folder_that_others_can_read_is_not_used(fleet: Fleet, run: Run, station: Path) -> None:
    station.mkdir(mode=0o755)
    with pytest.raises(FleetError, match="chmod 700"):
        run(fleet(trainers(1)))


def test_a_run_that_is_stopped_finishes_what_is_under_way_and_is_gone_on_with(
    plane: ControlPlane, fleet: Fleet, run: Run, station: Path
) -> None:
    there = devices(plane)
    file = fleet(trainers(40))
    stops: list[Callable[[], None]] = []

    class Stopping:
        def show(self, now: float, enrolled: int, failed: int) -> None:
            if enrolled == 5:
                stops[0]()

        def end(self) -> None:
            """Show nothing."""

    outcome = run(file, shown=lambda total, before: Stopping(), listening=stops.append, at_once=4)
    assert (outcome.ended, outcome.failed) == ("stopped", 0)
    assert 5 <= outcome.enrolled <= 5 + 4
    # What was asked for is written down: nothing is left to be found.
    assert len(devices(plane) - there) == len(journalled(station)) == outcome.enrolled
    rest = run(file)
    assert (rest.before + rest.enrolled, rest.found, rest.is_complete) == (40, 0, True)


def test_tokens_that_ran_out_on_the_way_are_issued_anew(plane: ControlPlane, fleet: Fleet, run: Run) -> None:
    now, issued = [plane.clock()], plane.metric("ztfm_enrolment_tokens_issued_total")

    def clock() -> float:
        now[0] += 5.0
        return now[0]

    # They hold for 72 s, and none is begun with that holds for less than 60.
    assert run(fleet(trainers(4)), hours=0.02, clock=clock, at_once=1).is_complete
    assert plane.metric("ztfm_enrolment_tokens_issued_total") - issued > 4


def test_without_an_administrator_lines_have_to_show_something(plane: ControlPlane, fleet: Fleet, run: Run) -> None:
    outcome = run(fleet(trainers(2)), admin=None, url=plane.url)
    assert (outcome.ended, outcome.failed) == ("invalid", 2)
    assert "--admin" in outcome.faults[0].remedy
    with pytest.raises(FleetError, match="--url"):
        run(fleet(trainers(2)), admin=None)


def test_the_control_plane_never_hears_of_a_name(fleet: Fleet, run: Run, tmp_path: Path) -> None:
    with running(limits=UNLIMITED) as other:
        run(fleet([["nobodys-business", "trainer", "homes"]]), admin=administrator(other, tmp_path / "other"))
        state = b"".join(path.read_bytes() for path in other.state.rglob("*") if path.is_file())
    assert b"nobodys-business" not in state
