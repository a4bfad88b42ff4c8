"""A disk that is full: nothing is given out, nothing is lost, and it is told."""

from collections.abc import Iterator

import pytest

from controlplane.cli.doctor import examine
from controlplane.settings import Settings
from tests.controlplane.faults.disks import fill, free, small_disk
from tests.controlplane.faults.test_store import is_sound
from tests.controlplane.test_faults import ask, attempts, is_ready, recorded, state_of
from tests.support import ControlPlane, running, wait_until


@pytest.fixture
def cramped() -> Iterator[ControlPlane]:
    """A control plane whose state folder has 8 MB."""
    with small_disk(8) as folder, running(state=folder) as found:
        yield found


def test_a_full_disk_grants_nothing_is_told_and_heals_when_there_is_room(cramped: ControlPlane) -> None:
    work = attempts(cramped)
    before, count = state_of(cramped), recorded(cramped)
    fill(cramped.state)
    for name, attempt in work.items():
        reply = attempt()
        assert reply.kind == "unavailable", name
        assert b"access_token" not in reply.body
    assert cramped.metric("ztfm_audit_records_total", result="failed") >= len(work)
    assert cramped.call("GET", "/readyz").json["checks"]["store"] == "cannot be used"
    wait_until(lambda: cramped.metric("ztfm_ready") == 0, what="a red gauge")
    free(cramped.state)
    wait_until(lambda: is_ready(cramped), what="a green /readyz without anybody asking for a decision")
    assert state_of(cramped) == before
    assert recorded(cramped) == count
    assert [attempt().status for attempt in work.values()] == [201, 201, 201, 200]
    assert is_sound(cramped)


def test_an_opa_that_ends_while_the_disk_is_full_comes_back_by_the_same_policies(cramped: ControlPlane) -> None:
    device = cramped.enrol("consumer")
    revision = ask(device).expect(201)["policy_revision"]
    fill(cramped.state)
    before = cramped.sidecar.pid
    cramped.sidecar.kill()
    wait_until(lambda: cramped.sidecar.pid not in (None, before), what="another OPA")
    wait_until(lambda: cramped.call("GET", "/readyz").json["checks"]["opa"] == "ok", what="an OPA that decides")
    free(cramped.state)
    wait_until(lambda: ask(device).status == 201, what="capabilities")
    assert ask(device).expect(201)["policy_revision"] == revision


def test_the_doctor_says_that_the_disk_is_full_and_what_to_do() -> None:
    with small_disk(80) as folder:
        settings = Settings(state_dir=folder)
        [disk] = [one for one in examine(settings) if one.name == "disk"]
        assert disk.ok, disk
        fill(folder)
        [disk] = [one for one in examine(settings) if one.name == "disk"]
        assert (disk.ok, disk.needed, disk.found) == (False, True, "0 MiB free")
        assert "64 MiB" in disk.remedy
