"""``ztfm serve`` as a process of its own, and the OPAs that it started."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ZTFM = [sys.executable, "-m", "controlplane.cli"]


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
