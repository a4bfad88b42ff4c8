"""Known weaknesses of what is pinned, as pip-audit finds them; what could not be asked is said, and is no answer."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.supplychain.closing import ROOT

_SECONDS = 300


class Unreached(Exception):  # noqa: N818 - named for what happened
    """The advisory service gave no answer, so that nothing is known."""


@dataclass(frozen=True)
class Advisory:
    """A known weakness of a pinned version.

    Attributes:
        package: its name and version.
        id: of the advisory.
        mended: versions that do not have it; empty where there is none.
    """

    package: str
    id: str
    mended: tuple[str, ...]


def audited(program: Path, pins: Path = ROOT / "constraints.txt") -> tuple[int, list[Advisory]]:
    """Return how many pins were looked up, and what is known against them.

    Args:
        program: pip-audit.
        pins: one ``name==version`` a line; they are looked up as they are, and nothing is installed.

    Raises:
        Unreached: the service could not be asked, or did not answer in time.
    """
    words = [
        str(program),
        "--requirement",
        str(pins),
        "--no-deps",
        "--disable-pip",
        "--format",
        "json",
        "--progress-spinner",
        "off",
    ]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unreached(str(error)) from None
    return read(done.stdout, done.stderr)


def read(said: str, complained: str = "") -> tuple[int, list[Advisory]]:
    """Return what pip-audit found.

    Raises:
        Unreached: it said nothing that is a whole answer.
    """
    try:
        listed = json.loads(said)["dependencies"]
        looked_up = [one for one in listed if "vulns" in one]
        found = [
            Advisory(f"{one['name']}=={one['version']}", weak["id"], tuple(weak["fix_versions"]))
            for one in looked_up
            for weak in one["vulns"]
        ]
    except (ValueError, KeyError, TypeError):
        lines = [line for line in complained.splitlines() if line.strip()]
        raise Unreached(lines[-1][:300] if lines else "pip-audit gave no answer") from None
    if not looked_up:
        raise Unreached("not one pin could be looked up")
    return len(looked_up), found
