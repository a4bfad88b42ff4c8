import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ZTFM = [sys.executable, "-m", "controlplane.cli"]


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


@contextmanager
def serve(state: Path, *arguments: str, **environment: str) -> Iterator[tuple["subprocess.Popen[str]", Any]]:
    """Run ``ztfm serve`` and give out its process and its start-up line; kill what is left of it."""
    command = [*ZTFM, "serve", "--port", "0", "--state-dir", str(state), "--json", *arguments]
    log = state.parent / f"{state.name}.log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env={**os.environ, **environment}
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, log.read_text()
        yield process, json.loads(line)
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
        log.unlink()


def opa_of(state: Path) -> list[int]:
    """Process ids of the OPAs that run for a state folder."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            command = (place / "cmdline").read_bytes()
            alive = (place / "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
        except OSError:
            continue
        if alive and b"opa\0run" in command.replace(b"/opa", b"opa") and str(state).encode() in command:
            found.append(int(place.name))
    return found


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A policy folder that does not compile."""
    from controlplane.settings import Settings
    from controlplane.sidecar.folders import product_folder

    folder = tmp_path / "policies"
    shutil.copytree(Settings().policies or product_folder("policies"), folder)
    (folder / "ztfm" / "broken.rego").write_text("package ztfm.broken\n\nallow if {\n")
    return folder
