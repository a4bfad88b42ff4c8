"""Find an OPA that is new enough, in a fixed and documented order."""

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from controlplane.sidecar.errors import SidecarError
from controlplane.sidecar.folders import tools_folder

MINIMUM_VERSION = (1, 17, 0)

WAYS = """no usable Open Policy Agent (1.17 or later) was found. Any of these gives you one:
  - set OPA_BIN to the path of an opa binary
  - put opa on your PATH (https://www.openpolicyagent.org/docs#1-download-opa)
  - install Go 1.26 or later and run: python -m controlplane.sidecar.install
Where none can be had, policies can be evaluated without it: ztfm serve --engine embedded"""


class OpaNotFound(SidecarError):  # noqa: N818 - a state, as callers see it
    """No usable OPA; the message lists the ways to get one."""

    def __init__(self, tried: list[str]) -> None:
        super().__init__("\n".join([WAYS, *(f"    tried {line}" for line in tried)]))


@dataclass(frozen=True)
class OpaBinary:
    """A usable OPA.

    Attributes:
        path: of the executable.
        version: (major, minor, patch).
        source: where it was found: OPA_BIN, PATH or tools.
    """

    path: Path
    version: tuple[int, int, int]
    source: str


def read_version(path: Path) -> tuple[int, int, int] | None:
    """Ask a binary for its version; none when it is not an OPA that answers within 10 s."""
    try:
        result = subprocess.run([path, "version"], capture_output=True, text=True, timeout=10, check=False)  # noqa: S603 - the operator named this binary
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"^Version: (\d+)\.(\d+)\.(\d+)", result.stdout, re.MULTILINE)
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def locate_opa(environment: Mapping[str, str], tools: Path | None = None) -> OpaBinary:
    """Return the first usable OPA: ``OPA_BIN``, then ``PATH``, then the project's tool folder.

    Raises:
        OpaNotFound: none of them is there and new enough. An ``OPA_BIN`` that does not work is an
            error of its own, so that a typing mistake is never papered over.
    """
    tried: list[str] = []
    named = environment.get("OPA_BIN")
    found = shutil.which("opa", path=environment.get("PATH"))
    places = [
        ("OPA_BIN", Path(named) if named else None),
        ("PATH", Path(found) if found else None),
        ("tools", (tools or tools_folder()) / "opa"),
    ]
    for source, path in places:
        if path is None:
            tried.append(f"{source}: not set" if source == "OPA_BIN" else f"{source}: no opa")
            continue
        version = read_version(path)
        if version is not None and version >= MINIMUM_VERSION:
            return OpaBinary(path, version, source)
        shown = "not an OPA that runs" if version is None else "too old: " + ".".join(map(str, version))
        tried.append(f"{source}: {path}: {shown}")
        if source == "OPA_BIN":
            break
    raise OpaNotFound(tried)
