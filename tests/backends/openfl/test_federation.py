"""OpenFL's aggregator and collaborators as processes that `fx` starts, with the certificates of a federation."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
import yaml

from tests.adapters.site.houses import built, furnish, house_of, signed, vetoes
from tests.backends.deciding import ALLOWED, SIGN_FLIPPED, decided
from tests.backends.environments import make
from tests.servers.ports import free_port
from tests.support import ControlPlane

pytestmark = pytest.mark.backends

WORKSPACE = Path(__file__).with_name("workspace")
PARTIES = ("aggregator", "one", "two", "three", "four")
SECONDS = 150.0


@pytest.mark.timeout(300)
def test_collaborators_that_are_processes_take_part_as_far_as_policy_lets_them(
    own_plane: ControlPlane, enrol: Callable[..., str], tmp_path: Path
) -> None:
    python = make("openfl")
    plan = yaml.safe_load((WORKSPACE / "plan" / "plan.yaml").read_text())
    plan["network"]["settings"]["agg_port"] = free_port()
    for party in PARTIES:
        shutil.copytree(WORKSPACE, tmp_path / party)
        (tmp_path / party / "plan" / "plan.yaml").write_text(yaml.safe_dump(plan))
    honest, attacker = enrol("one/local/identity"), enrol("two/local/identity")
    enrol("aggregator/local/identity", role="aggregator", segment="core")
    environment = {**os.environ, "HOME": str(tmp_path)}
    provisioned = _command(python, "-m", "tests.backends.openfl.provision", str(tmp_path))
    subprocess.run(provisioned, cwd=tmp_path / "aggregator", env=environment, check=True, timeout=120)
    # four's home lets no update out whose epsilon it is not told; three has OpenFL's certificate, and no enrolled key.
    home = enrol("four/local/identity")
    furnish(tmp_path / "four" / "local" / "identity", signed(built(tmp_path / "house", house_of())))
    asked = tmp_path / "asked.json"
    with ExitStack() as stack:
        for name in ("one", "two", "four"):
            started = _fx(python, "collaborator", "start", "-n", name)
            stack.enter_context(_running(started, tmp_path / name, environment))
        rogue = _command(python, "-m", "tests.backends.openfl.rogue", "three", str(asked))
        stack.enter_context(_running(rogue, tmp_path / "three", environment))
        served = _fx(python, "aggregator", "start")
        server = stack.enter_context(_running(served, tmp_path / "aggregator", environment))
        status = server.wait(SECONDS)
    log = (tmp_path / "aggregator.log").read_text()
    assert status == 0, log[-5000:]
    rounds = json.loads((tmp_path / "aggregator" / "save" / "ztfm.json").read_text())["rounds"]
    assert [(one["pulled"], one["submitted"], one["accepted"]) for one in rounds] == [(3, 2, 1)] * 2, log[-5000:]
    for one in rounds:
        drops = {subject: (point, cause) for point, cause, subject in one["drops"] if subject}
        assert drops == {attacker: ("gate", "update_aligned"), home: ("gate", "declined")}
        assert honest not in drops
    assert decided(own_plane, honest) == [ALLOWED] * 2
    assert decided(own_plane, attacker) == [SIGN_FLIPPED] * 2
    assert decided(own_plane, home) == [ALLOWED[:1]] * 2, "nobody is asked for what the home does not let out"
    assert [action for action, _ in vetoes(own_plane, home)] == ["site:update_out"] * 2
    found = json.loads(asked.read_text())
    assert found["asked"] > 0
    assert found["bytes"] == 0


def _fx(python: Path, *words: str) -> list[str]:
    return [str(python.with_name("fx")), *words]


def _command(python: Path, *words: str) -> list[str]:
    return [str(python), *words]


@contextmanager
def _running(command: list[str], workspace: Path, environment: dict[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a party in its workspace, and end it with what it started."""
    with workspace.with_suffix(".log").open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=workspace,
            env=environment,
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            process_group=0,
        )
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
