"""What Cilium's types say of CiliumNetworkPolicy objects: validators made from them, installed from npm as pinned.

The package is made from the types in Cilium's source, not from the definition of the resource that a cluster has: it
knows fields, their kinds, enumerations and forms of text, but none of the rules over several fields. What it passes
over, `npm/cilium/validate.mjs` tells: unknown fields, and null. `python -m tests.servers.cilium` prints where it is, or
why it is not.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.servers.debian import NotInstalled
from tests.servers.node import FOLDER, installed

PINNED = Path(__file__).parent / "npm" / "cilium"

_FILES = ("package.json", "package-lock.json", "validate.mjs")
_END_SECONDS = 20.0

Judge = Callable[[Any], list[str]]
"""Says of an object what is wrong with it, each in a line with the place."""


def ensure_cilium() -> Path:
    """Return the folder of the validators; installed with npm when they are missing or others are pinned now.

    Raises:
        NotInstalled: they are not there and cannot be installed.
    """
    return installed(PINNED, _FILES, FOLDER)


@contextmanager
def judging() -> Iterator[Judge]:
    """Run the validators until the end of the context.

    Raises:
        NotInstalled: they are not there and cannot be installed.
    """
    command = ["node", str(ensure_cilium() / "validate.mjs")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        asked, told = process.stdin, process.stdout
        assert asked and told

        def judge(given: Any) -> list[str]:
            asked.write(json.dumps(given) + "\n")
            answer = told.readline()
            assert answer, f"validate.mjs ended: {process.poll()}"
            wrong: list[str] = json.loads(answer)
            return wrong

        try:
            yield judge
        finally:
            asked.close()
            try:
                process.wait(timeout=_END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


if __name__ == "__main__":
    try:
        print(ensure_cilium())
    except NotInstalled as missing:
        sys.exit(str(missing))
