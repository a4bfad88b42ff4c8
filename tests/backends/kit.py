"""The conformance kit on a backend in its own environment."""

import json
import subprocess
import sys

from tests.backends.environments import ROOT, make


def kept(name: str, module: str, *cases: str, seconds: float) -> dict[str, tuple[str, list[str]]]:
    """Return the verdict and the faults of cases that were run, by case.

    Args:
        name: of the environment.
        module: of the backend.
        cases: which.
        seconds: that they have.
    """
    words = ["-m", "controlplane.cli", "adapter", "check", module, "--json", "--python", str(make(name))]
    command = [sys.executable, *words, *(word for case in cases for word in ("--case", case))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False)
    assert done.stdout, done.stderr[-3000:]
    return {one["case"]: (one["verdict"], one["faults"]) for one in json.loads(done.stdout.splitlines()[-1])["cases"]}


def held(*cases: str) -> dict[str, tuple[str, list[str]]]:
    """Return what `kept` returns where each of these cases held."""
    return dict.fromkeys(cases, ("held", []))
