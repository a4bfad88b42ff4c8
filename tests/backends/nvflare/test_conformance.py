"""The conformance kit's view of the adapter: a case of each point of a round. All of them take a quarter of an hour:

ztfm adapter check adapters.nvflare.conformance --python build/backends/nvflare/bin/python
"""

import json
import subprocess
import sys

import pytest

from tests.backends.environments import ROOT, make

pytestmark = pytest.mark.backends

CASES = ("twin", "borrowed-pull", "tampered")


@pytest.mark.timeout(300)
def test_the_kit_s_cases_hold_at_each_point_of_a_round() -> None:
    words = ["-m", "controlplane.cli", "adapter", "check", "adapters.nvflare.conformance", "--json"]
    cases = [word for case in CASES for word in ("--case", case)]
    command = [sys.executable, *words, *cases, "--python", str(make("nvflare"))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.stdout, done.stderr[-3000:]
    found = {one["case"]: (one["verdict"], one["faults"]) for one in json.loads(done.stdout.splitlines()[-1])["cases"]}
    assert found == dict.fromkeys(CASES, ("held", []))
