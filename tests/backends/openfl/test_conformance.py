"""The conformance kit's view of the adapter: a few of its cases; all of them take a quarter of an hour.

ztfm adapter check adapters.openfl.conformance --python build/backends/openfl/bin/python
"""

import json
import subprocess
import sys

import pytest

from tests.backends.environments import ROOT, make

pytestmark = pytest.mark.backends

CASES = ("no-pull", "sign-flip", "twin", "failing")


@pytest.mark.timeout(300)
def test_the_kit_holds_for_clients_that_pull_attack_copy_a_key_or_break() -> None:
    words = ["-m", "controlplane.cli", "adapter", "check", "adapters.openfl.conformance", "--json"]
    cases = [word for case in CASES for word in ("--case", case)]
    done = subprocess.run(
        [sys.executable, *words, *cases, "--python", str(make("openfl"))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert [(one["case"], one["verdict"], one["faults"]) for one in found["cases"]] == [
        (case, "held", []) for case in CASES
    ]
