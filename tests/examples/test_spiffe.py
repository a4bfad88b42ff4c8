"""Two processes over mutual TLS with what a real control plane issued: each knows the other, and no other is heard."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from adapters.member import Member
from tests.support import SEGMENTS, ControlPlane, running

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def homes() -> Iterator[ControlPlane]:
    with running(trust_domain="homes.example") as plane:
        yield plane


def enrolled(plane: ControlPlane, folder: Path, role: str) -> str:
    """Enrol a workload and return its SPIFFE ID."""
    token = plane.token([role], SEGMENTS[role])
    with Member.enrol(folder, plane.url, token, roles=[role], segment=SEGMENTS[role]) as member:
        return f"spiffe://homes.example/device/{member.id}"


@contextmanager
def serving(folder: Path, *peers: str) -> Iterator[tuple[str, str]]:
    """Serve in a process of its own; return who that is, and where."""
    command = [sys.executable, "-m", "examples.spiffe.serving", str(folder), "0", *peers]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            name, _, url = process.stdout.readline().strip().partition(" on ")
            yield name, url
        finally:
            process.kill()


def call(folder: Path, url: str, peer: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "examples.spiffe.calling", str(folder), url, peer]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_two_processes_know_each_other_and_a_third_is_not_heard(homes: ControlPlane, tmp_path: Path) -> None:
    server, app, other = (tmp_path / name for name in ("server", "app", "other"))
    name, asking = enrolled(homes, server, "gateway"), enrolled(homes, app, "consumer")
    stranger = enrolled(homes, other, "trainer")
    with serving(server, asking) as (shown, url):
        assert shown == name
        assert json.loads(call(app, url, name).stdout) == {"peer": asking}
        mistaken = call(app, url, stranger)
        assert (mistaken.returncode, "unexpected" in mistaken.stderr) == (1, True)
        refused = call(other, url, name)
        assert (refused.returncode, refused.stdout) == (1, "")


def test_a_workload_that_was_quarantined_or_revoked_gets_no_new_svid(homes: ControlPlane, tmp_path: Path) -> None:
    boss = homes.enrol("administrator")
    name = enrolled(homes, tmp_path / "server", "gateway")
    for status in ("quarantined", "revoked"):
        folder = tmp_path / status
        asking = enrolled(homes, folder, "consumer")
        with serving(tmp_path / "server", asking) as (_, url):
            assert call(folder, url, name).returncode == 0
            identifier = asking.rpartition("/")[2]
            boss.post(f"/v1/devices/{identifier}/status", {"status": status, "reason": "stolen"}).expect(200)
            denied = call(folder, url, name)
            assert (denied.returncode, "subject_active" in denied.stderr) == (1, True)
