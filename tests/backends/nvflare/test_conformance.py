"""The conformance kit's view of the adapter: two of its cases; all of them take a quarter of an hour.

ztfm adapter check adapters.nvflare.conformance --python build/backends/nvflare/bin/python
"""

import json
import subprocess
import sys

import pytest

from tests.backends.environments import ROOT, make

pytestmark = pytest.mark.backends


@pytest.mark.timeout(300)
def test_the_kit_holds_for_a_client_that_attacks_and_for_two_with_one_key() -> None:
    words = ["-m", "controlplane.cli", "adapter", "check", "adapters.nvflare.conformance", "--json"]
    cases = ["--case", "sign-flip", "--case", "twin", "--python", str(make("nvflare"))]
    done = subprocess.run(
        [sys.executable, *words, *cases], cwd=ROOT, capture_output=True, text=True, timeout=280, check=False
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert [(one["case"], one["verdict"], one["faults"]) for one in found["cases"]] == [
        ("sign-flip", "held", []),
        ("twin", "held", []),
    ]
