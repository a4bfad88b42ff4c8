"""What the extra brings changes nothing for the rest of the process."""

import subprocess
import sys


def test_how_deep_the_process_may_go_stays_as_it_was() -> None:
    said = "import sys; before = sys.getrecursionlimit(); import controlplane.identity.resolving.ethr; "
    said += "import controlplane.identity.ledgers.evm.opening; print(before == sys.getrecursionlimit())"
    found = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert found.stdout == "True\n"
