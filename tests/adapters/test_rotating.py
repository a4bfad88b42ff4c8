"""A device takes another key: over a real control plane, and whenever its process ends meanwhile."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from adapters import rotating
from adapters.client import ControlPlane as Client
from adapters.client import SyncControlPlane
from adapters.enrolment import load_key, load_next_key
from adapters.errors import Conflict, Unauthenticated, Unreachable
from adapters.member import Member
from controlplane.jose.keys import DeviceKey
from tests.servers.ports import free_port
from tests.support import ControlPlane

# Ends the process as a power cut would, right before or after something.
_KILLED = """
import os, signal, sys
from pathlib import Path
from adapters import member
moment, folder = sys.argv[1], Path(sys.argv[2])
ends = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
rotate = member.SyncControlPlane.rotate_key
if moment == "before asking":
    member.SyncControlPlane.rotate_key = ends
if moment == "after asking":
    member.SyncControlPlane.rotate_key = lambda *given: (rotate(*given), ends())
if moment == "before swapping":
    member.swap_keys = ends
if moment == "after swapping":
    swap = member.swap_keys
    member.swap_keys = lambda given: (swap(given), ends())
with member.Member.open(folder) as one:
    one.rotate_key()
"""


@pytest.fixture
def member(plane: ControlPlane, tmp_path: Path) -> Path:
    with Member.enrol(tmp_path, plane.url, plane.token(["trainer"], "homes")):
        pass
    return tmp_path


def test_a_device_takes_another_key_and_keeps_its_name(plane: ControlPlane, member: Path) -> None:
    with Member.open(member) as one:
        name, before = one.id, one.key
        standing = one.rotate_key()
        assert (standing.sequence, standing.name) == (1, name)
        # The same member goes on, with the new key.
        assert one.plane.identity().sequence == 1
    with Member.open(member) as one:
        assert (one.id, one.key.thumbprint) == (name, load_key(member).thumbprint)
        assert one.key.thumbprint != before.thumbprint
        assert one.rotate_key().sequence == 2
    with SyncControlPlane(plane.url, before) as old, pytest.raises(Unauthenticated):
        old.identity()


@pytest.mark.parametrize("moment", ["before asking", "after asking", "before swapping", "after swapping"])
def test_a_process_that_ends_meanwhile_leaves_a_key_that_counts(plane: ControlPlane, member: Path, moment: str) -> None:
    ended = subprocess.run([sys.executable, "-c", _KILLED, moment, str(member)], timeout=60, check=False)
    assert ended.returncode == -9
    was_done = moment != "before asking"
    with Member.open(member) as one:
        assert one.plane.identity().sequence == int(was_done)
        assert (load_next_key(member) is None) == was_done
        assert one.rotate_key().sequence == int(was_done) + 1
    assert load_next_key(member) is None


def test_while_nobody_answers_a_device_that_was_interrupted_does_not_guess(member: Path, plane: ControlPlane) -> None:
    subprocess.run([sys.executable, "-c", _KILLED, "after asking", str(member)], timeout=60, check=False)
    known = (member / "identity.json").read_text()
    (member / "identity.json").write_text(known.replace(plane.url, f"http://127.0.0.1:{free_port()}"))
    with pytest.raises(Unreachable):
        Member.open(member)
    (member / "identity.json").write_text(known)
    with Member.open(member) as one:
        assert one.plane.identity().sequence == 1


async def test_an_answer_that_gets_lost_is_asked_for_by_the_new_key(
    plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, fresh = plane.enrol("trainer"), DeviceKey.generate()
    send = rotating.Rotating._post

    async def _lost(self: Any, path: str, body: Any) -> bytes:
        await send(self, path, body)
        raise Unreachable("the cable was cut")

    async with Client(plane.url, device.key) as client:
        monkeypatch.setattr(rotating.Rotating, "_post", _lost)
        assert (await client.rotate_key(fresh)).sequence == 1
        monkeypatch.undo()
        assert (await client.identity()).sequence == 1


async def test_a_key_that_is_anothers_is_not_taken_and_the_old_one_counts(plane: ControlPlane) -> None:
    device, other = plane.enrol("trainer"), plane.enrol("trainer")
    async with Client(plane.url, device.key) as client:
        with pytest.raises(Conflict):
            await client.rotate_key(other.key)
        assert (await client.identity()).sequence == 0


def test_who_proves_by_a_certificate_does_not_rotate(plane: ControlPlane) -> None:
    device = plane.enrol("trainer")
    with (
        SyncControlPlane(plane.url, device.key, proofs=False) as client,
        pytest.raises(ValueError, match="certificate"),
    ):
        client.rotate_key(DeviceKey.generate())
