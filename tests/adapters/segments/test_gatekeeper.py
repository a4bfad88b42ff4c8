"""What is in force when something goes wrong: a table that cannot be, silence, a start without the control plane."""

import errno
import time
from pathlib import Path
from typing import Any

import pytest

from adapters.segments import keeping
from adapters.segments.clock import NeverBehind
from adapters.segments.enforcing import Enforcement
from adapters.segments.gatekeeper import Gatekeeper, RouterEvent
from adapters.segments.keeping import TableFile
from controlplane.contracts.segmentation import Grant
from controlplane.segmentation import flows
from tests.adapters.segments.plant import Plant, Stream, grant, names, table
from tests.adapters.segments.test_enforcing import FAILS, Meddling, also


class Gate:
    """A gatekeeper at the plant's router, with what it said and what is revoked."""

    def __init__(self, plant: Plant, enforcement: Enforcement, folder: Path) -> None:
        self.plant = plant
        self.enforcement = enforcement
        self.revoked: set[str] = set()
        self.events: list[RouterEvent] = []
        self.clock = NeverBehind(time.time)
        enforcement._clock = self.clock
        self.file = TableFile(folder)
        self.keeper = self.anew(enforcement)

    def anew(self, enforcement: Enforcement) -> Gatekeeper:
        """A gatekeeper as after a start of the process."""

        def _is_void(one: Grant, _: float) -> bool:
            return one.id in self.revoked

        return Gatekeeper(enforcement, self.file, _is_void, self.clock, self.events.append)

    def put(self, *grants: Grant, cuts: tuple[str, ...] = (), **options: Any) -> None:
        self.keeper.take(table(grants, cuts))
        self.plant.router.call(lambda: self.keeper.put(**options))
        self.plant.router.call(self.keeper.check)

    def restarted(self) -> None:
        """A new process in the place of the one before."""
        self.keeper = self.anew(Enforcement(self.enforcement._kernel, self.clock))
        self.plant.router.call(self.keeper.begin)

    def open(self) -> list[str]:
        return names(self.plant.reached(self.plant.everything()))


CAMERA, SENSOR = "camera -> gateway:8443", "sensor -> gateway:8443"


@pytest.fixture
def gate(plant: Plant, enforcement: Enforcement, tmp_path: Path) -> Gate:
    return Gate(plant, enforcement, tmp_path)


def test_what_was_revoked_since_a_table_was_made_is_left_out_of_it(gate: Gate) -> None:
    camera, sensor = grant("camera", "gateway"), grant("sensor", "gateway")
    gate.revoked.add(camera.id)
    gate.put(camera, sensor)
    assert gate.open() == [SENSOR]
    assert gate.keeper.is_withholding
    assert [event.name for event in gate.events] == ["applied"]


def test_a_table_that_is_refused_takes_away_what_it_takes_away_and_adds_nothing(gate: Gate) -> None:
    gate.put(grant("camera", "gateway"), grant("sensor", "gateway"), grant("camera-2", "gateway"))
    # Both tries, a change and the whole table, and then no more.
    honest, tries = gate.enforcement._kernel, iter([True, True])
    spoiled = also(FAILS, once=False)
    gate.enforcement._kernel = Meddling(honest, lambda given: spoiled(given) if next(tries, False) else given)
    gate.put(grant("camera", "gateway"), grant("camera-2", "gateway"), grant("visitor", "gateway"), cuts=("camera-2",))
    assert gate.open() == [CAMERA]
    assert gate.keeper.is_refused
    assert [event.name for event in gate.events] == ["applied", "refused"]


def test_where_not_even_that_can_be_taken_away_nothing_passes(gate: Gate) -> None:
    gate.put(grant("camera", "gateway"), grant("sensor", "gateway"))
    honest, tries = gate.enforcement._kernel, iter([True] * 4)
    spoiled = also(FAILS, once=False)
    gate.enforcement._kernel = Meddling(honest, lambda given: spoiled(given) if next(tries, False) else given)
    gate.put(grant("camera", "gateway"))
    assert gate.open() == []


def test_a_table_too_large_to_compile_still_ends_what_it_ends(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    gate.put(grant("camera", "gateway"), grant("sensor", "gateway"))
    monkeypatch.setattr(flows, "MAX_FLOWS", 1)
    gate.put(grant("camera", "gateway"), grant("visitor", "gateway"), grant("camera-2", "gateway"))
    assert gate.open() == [CAMERA]
    assert "more than 1 flows" in gate.events[-1].why


def test_without_word_nothing_passes_and_with_it_the_table_does_again(gate: Gate) -> None:
    gate.put(grant("camera", "gateway"))
    gate.put(grant("camera", "gateway"), silenced=True)
    assert gate.open() == []
    gate.put(grant("camera", "gateway"))
    assert gate.open() == [CAMERA]
    assert [event.name for event in gate.events] == ["applied", "silent", "applied"]


def test_a_start_leaves_a_running_stream_alone(gate: Gate) -> None:
    gate.put(grant("camera", "gateway"))
    with Stream(gate.plant, "camera", "gateway") as stream:
        gate.restarted()
        assert stream.flows()
    assert gate.open() == [CAMERA]


def test_a_start_opens_nothing_that_the_kernel_or_the_file_lacks(gate: Gate) -> None:
    gate.put(grant("camera", "gateway"), grant("sensor", "gateway"))
    gate.plant.router.run("nft", "flush set inet ztfm grants4")
    gate.restarted()
    assert gate.open() == [], "the kernel had less than the file"
    gate.put(grant("camera", "gateway"))
    gate.file.keep(table([grant("sensor", "gateway")]), time.time())
    gate.restarted()
    assert gate.open() == [], "the file had less than the kernel"


def test_a_start_of_the_machine_brings_back_what_was_kept_and_not_what_ended_meanwhile(gate: Gate) -> None:
    gate.file.keep(table([grant("camera", "gateway"), grant("sensor", "gateway", seconds=-1.0)]), time.time())
    gate.plant.router.run("nft", "flush", "ruleset")
    gate.restarted()
    assert gate.open() == [CAMERA]


@pytest.mark.parametrize("content", [None, b"", b"{}", b"\xff", b'{"kept_at": 0.0, "table": {}}'])
def test_a_start_without_a_table_that_can_be_read_is_closed(gate: Gate, content: bytes | None) -> None:
    gate.put(grant("camera", "gateway"))
    gate.plant.router.run("nft", "flush", "ruleset")
    if content is None:
        gate.file._path.unlink()
    else:
        gate.file._path.write_bytes(content)
    gate.restarted()
    assert gate.open() == []


def test_a_table_that_others_could_have_written_brings_back_nothing(gate: Gate) -> None:
    gate.put(grant("camera", "gateway"))
    gate.plant.router.run("nft", "flush", "ruleset")
    gate.file._path.chmod(0o660)
    gate.restarted()
    assert gate.open() == []


def test_a_clock_that_was_set_back_brings_back_nothing(gate: Gate) -> None:
    gate.file.keep(table([grant("camera", "gateway")]), time.time() + 60)
    gate.plant.router.run("nft", "flush", "ruleset")
    gate.restarted()
    assert gate.open() == []


def test_a_router_whose_clock_is_slow_ends_grants_when_the_control_plane_does(gate: Gate) -> None:
    slow = NeverBehind(lambda: time.time() - 3600)
    gate.clock = gate.enforcement._clock = slow
    gate.keeper = gate.anew(gate.enforcement)
    gate.put(grant("camera", "gateway", seconds=100))
    listing = gate.plant.router.run("nft", "list", "set", "inet", "ztfm", "grants4")
    assert "timeout 1m3" in listing, listing


def test_what_is_kept_is_for_its_owner_alone(gate: Gate) -> None:
    (gate.file._path.parent / ".table.json-of-an-agent-that-was-killed").touch()
    gate.put(grant("camera", "gateway"))
    assert gate.file._path.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in gate.file._path.parent.iterdir()] == ["table.json"]


def test_a_table_that_cannot_be_kept_leaves_no_older_one_that_grants_what_was_taken_back(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate.put(grant("camera", "gateway"))

    def _full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(keeping.os, "fsync", _full)
    gate.put(grant("sensor", "gateway"), cuts=("camera",))
    assert gate.open() == [SENSOR]
    assert list(gate.file._path.parent.iterdir()) == []
    gate.plant.router.run("nft", "flush", "ruleset")
    gate.restarted()
    assert gate.open() == []


def test_a_clock_that_is_set_back_while_the_agent_runs_lets_no_grant_live_longer(gate: Gate) -> None:
    wall = [time.time()]
    gate.clock = gate.enforcement._clock = NeverBehind(lambda: wall[0])
    gate.keeper = gate.anew(gate.enforcement)
    gate.put(grant("camera", "gateway", seconds=100))
    wall[0] -= 3600
    gate.plant.router.call(gate.keeper.hold)
    gate.plant.router.run("nft", "flush", "ruleset")
    gate.plant.router.call(gate.keeper.hold)
    listing = gate.plant.router.run("nft", "list", "set", "inet", "ztfm", "grants4")
    assert "timeout 1m3" in listing, listing


def test_the_time_follows_a_control_plane_whose_clock_was_set_back_and_no_table_that_is_merely_late() -> None:
    timer = [0.0]
    clock = NeverBehind(lambda: 0.0, lambda: timer[0])
    clock.learn(10_000.0)
    timer[0] = 5.0
    clock.learn(9_990.0)
    assert clock() == 10_005.0
    clock.learn(10_020.0)
    assert clock() == 10_020.0
    clock.learn(5_000.0)
    assert clock() == 5_000.0
