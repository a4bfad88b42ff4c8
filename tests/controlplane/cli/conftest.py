import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from click.testing import Result
from typer.testing import CliRunner

from tests.controlplane.cli.processes import ZTFM


@pytest.fixture
def state() -> Iterator[Path]:
    """A state folder with a short path."""
    with tempfile.TemporaryDirectory(prefix="ztfm-") as folder:
        yield Path(folder)


@pytest.fixture
def ztfm(state: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command to its end."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        chosen = {**os.environ, "ZTFM_STATE_DIR": str(state), "ZTFM_LISTEN_PORT": "0", "COLUMNS": "200", **environment}
        return subprocess.run([*ZTFM, *arguments], capture_output=True, text=True, env=chosen, timeout=60, check=False)

    return run


@pytest.fixture
def quick(state: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run the command to its end within this process, where a process of its own would show nothing more."""
    for module in ("serve", "policy_published"):
        monkeypatch.setattr(f"controlplane.cli.{module}.configure_logs", lambda *_, **__: None)

    def run(*arguments: str, **environment: str) -> Result:
        from controlplane.cli.commands import app

        chosen = {"ZTFM_STATE_DIR": str(state), "ZTFM_LISTEN_PORT": "0", "COLUMNS": "200", **environment}
        # A process of its own would write its log to standard error.
        with structlog.testing.capture_logs():
            return CliRunner().invoke(app, list(arguments), env=chosen)

    return run


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A policy folder that does not compile."""
    from controlplane.settings import Settings
    from controlplane.sidecar.folders import product_folder

    folder = tmp_path / "policies"
    shutil.copytree(Settings().policies or product_folder("policies"), folder)
    (folder / "ztfm" / "broken.rego").write_text("package ztfm.broken\n\nallow if {\n")
    return folder
