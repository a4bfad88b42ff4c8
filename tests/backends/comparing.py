"""One federation with the same attackers, on a backend in its own environment and in a plain loop in ours."""

import json
import subprocess
import sys
from collections.abc import Sequence

from tests.backends.environments import ROOT, make

PLAIN = "adapters.conformance.backends.pytorch"
SECONDS = 840


def differences(name: str, *modules: str) -> Sequence[str]:
    """Return what was decided otherwise than in a plain loop; nothing where the same was.

    Args:
        name: of the environment.
        modules: of the backend.
    """
    backends = [PLAIN, *(f"{module}@{make(name)}" for module in modules)]
    command = [sys.executable, "-m", "controlplane.cli", "adapter", "compare", *backends, "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.stdout, done.stderr[-3000:]
    federations = json.loads(done.stdout.splitlines()[-1])["federations"]
    assert [one["module"] for one in federations] == [PLAIN, *modules]
    found: list[str] = [said for one in federations for said in one["differences"]]
    return found
