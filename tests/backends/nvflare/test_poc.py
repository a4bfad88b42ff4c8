"""NVFLARE's server and sites as processes of their own, with the certificates of its proof-of-concept mode."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.backends.deciding import ALLOWED, SIGN_FLIPPED, decided
from tests.backends.environments import ROOT, make
from tests.backends.running import below
from tests.servers.ports import free_port
from tests.support import ControlPlane

pytestmark = pytest.mark.backends

PROGRAM = "tests.backends.nvflare.poc"


@pytest.mark.timeout(300)
def test_sites_that_are_processes_take_part_as_far_as_policy_lets_them(
    own_plane: ControlPlane, enrol: Callable[..., str], tmp_path: Path
) -> None:
    python, environment = make("nvflare"), {**os.environ, "HOME": str(tmp_path)}
    kits, port = tmp_path / "kits", free_port()
    _run(python, environment, "provision", str(tmp_path), str(port), seconds=60)
    honest, attacker = enrol("kits/site-1/local/identity"), enrol("kits/site-2/local/identity")
    enrol("kits/server/local/identity", role="aggregator", segment="core")
    # site-3 has NVFLARE's certificate, and no enrolled key.
    with ExitStack() as stack:
        for name in ("server", "site-1", "site-2", "site-3"):
            stack.enter_context(_site(python, environment, kits / name))
        _run(python, environment, "run", str(tmp_path), seconds=200)
    ended = json.loads((tmp_path / "ended.json").read_text())
    assert ended["outcome"] == "MonitorReturnCode.JOB_FINISHED"
    assert ended["clients"] == ["site-1", "site-2"]
    assert "does not carry out the command" in ended["read"]
    assert [one["accepted"] for one in ended["rounds"]] == [1, 1]
    for one in ended["rounds"]:
        drops = {subject: (point, cause) for point, cause, subject in one["drops"]}
        assert drops == {attacker: ("gate", "update_aligned")}
        assert honest not in drops
    # The simulator's test holds the same: where sites run changes nothing of what is decided about them.
    assert decided(own_plane, honest) == [ALLOWED] * 2
    assert decided(own_plane, attacker) == [SIGN_FLIPPED] * 2


def _run(python: Path, environment: dict[str, str], *words: str, seconds: float) -> None:
    command = [str(python), "-m", PROGRAM, *words]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=seconds, check=False
    )
    assert done.returncode == 0, (done.stdout[-3000:], done.stderr[-3000:])


@contextmanager
def _site(python: Path, environment: dict[str, str], kit: Path) -> Iterator[None]:
    """Run a site as its startup kit does, and end it with the jobs that it started."""
    kind = "server" if kit.name == "server" else "client"
    command = [
        *(str(python), "-u", "-m", f"nvflare.private.fed.app.{kind}.{kind}_train", "-m", str(kit)),
        *("-s", f"fed_{kind}.json", "--set", "secure_train=true", f"uid={kit.name}", "org=nvidia"),
        "config_folder=config",
    ]
    with (kit.parent.parent / f"{kit.name}.log").open("wb") as output:
        process = subprocess.Popen(
            command, cwd=kit, env=environment, stdout=output, stderr=output, stdin=subprocess.DEVNULL, process_group=0
        )
        try:
            yield
        finally:
            # Jobs are processes in groups of their own.
            for pid in (*below(process.pid), process.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait(10)
