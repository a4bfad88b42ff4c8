import sys
from pathlib import Path

import pytest

from controlplane.sidecar import locate
from evaluation.demo.plane import PlaneFailed, engine_here, serving
from tests.evaluation.demo.processes import descendants, running, wait_for, wait_until_gone

HELD = """
import time
from pathlib import Path
from evaluation.demo.plane import serving
with serving(Path("run")) as when_ready:
    print(when_ready(), flush=True)
    time.sleep(60)
"""


def test_a_control_plane_that_cannot_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPA_BIN", str(tmp_path / "no-such-opa"))
    with serving(tmp_path / "run") as when_ready, pytest.raises(PlaneFailed, match="no-such-opa"):
        when_ready()


def test_without_opa_the_embedded_engine_is_taken_and_never_for_a_typing_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPA_BIN", raising=False)
    assert engine_here() == "opa"
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(locate, "tools_folder", lambda: tmp_path)
    assert engine_here() == "embedded"
    with serving(tmp_path / "run", engine_here()) as when_ready:
        assert when_ready().engine == "embedded"
    monkeypatch.setenv("OPA_BIN", str(tmp_path / "no-such-opa"))
    assert engine_here() == "opa"


def test_settings_of_another_control_plane_do_not_reach_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZTFM_DATABASE_URL", "postgresql+asyncpg://nobody@127.0.0.1:1/none")
    with serving(tmp_path / "run") as when_ready:
        plane = when_ready()
        assert (plane.state_dir / "ztfm.db").exists()
        assert plane.url.startswith("https://")
        assert Path(f"/proc/{plane.pid}").exists()
    assert not Path(f"/proc/{plane.pid}").exists()


def test_a_demo_that_is_killed_takes_its_control_plane_along(tmp_path: Path) -> None:
    with running([sys.executable, "-c", HELD], tmp_path) as (process, out, log):
        wait_for("url", out, process)
        started = descendants(process.pid)
        assert "opa" in started.values()
        process.kill()
        process.wait()
    wait_until_gone(started)
    assert log.read_text() == ""
