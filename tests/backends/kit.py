"""The conformance kit on a backend in its own environment."""

import json
import subprocess
import sys
from dataclasses import replace

from adapters.conformance.cases import named
from adapters.conformance.kit import opened
from adapters.conformance.worker import Worker
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


def kept_in_one_job(name: str, module: str, *cases: str) -> dict[str, tuple[str, list[str]]]:
    """Return what `kept` returns, of cases in one job whatever their companies: a job's start is what takes long.

    Those that never see the weights are in nobody's way, be it one that dies meanwhile.
    """
    chosen = [replace(named(case), company="leaving") for case in cases]
    with Worker(module, make(name)) as worker, opened(chosen) as kit:
        return {one.case.name: (one.verdict, list(one.faults)) for one in kit.check(worker, chosen)}


def held(*cases: str) -> dict[str, tuple[str, list[str]]]:
    """Return what `kept` returns where each of these cases held."""
    return dict.fromkeys(cases, ("held", []))
