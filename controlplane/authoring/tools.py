"""Call OPA and the linter in a policy folder, and read what they say."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from controlplane.authoring.errors import AuthoringError
from controlplane.contracts.builtins import FORBIDDEN

TOOL_SECONDS = 120.0

_PASSED_ON = ("HOME", "PATH", "TMPDIR")
"""What tools have of our environment: what is in the rest, such as the store's password, is nothing to a policy."""


_FATAL = "fatal error: runtime: "
"""What a program of Go's says when it gets no more memory."""

GO_RUNTIME = {"GOGC": "400", "GOMEMLIMIT": "1GiB"}
"""A tool that ends after seconds collects its garbage less often: a quarter less processor time for OPA's tests, for
twice the memory, 0.2 GB of it."""


@dataclass(frozen=True)
class Tools:
    """The programs that authors' commands call.

    Attributes:
        opa: path of OPA.
        regal: path of the linter; none when there is none.
    """

    opa: Path
    regal: Path | None = None


def call(program: Path, *arguments: str, cwd: Path, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a tool to its end and return what came of it, whatever its exit status.

    Raises:
        AuthoringError: it cannot be run, takes longer than two minutes, or is ended from outside.
    """
    command = [str(program.resolve()), *arguments]
    try:
        result = subprocess.run(  # noqa: S603 - our own command line
            command,
            cwd=cwd,
            env=GO_RUNTIME | {name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=TOOL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AuthoringError(f"{program} could not run: {type(error).__name__}") from None
    if result.returncode < 0 or _FATAL in result.stderr:
        raise AuthoringError(f"{program.name} was ended: it needed more time or memory than it may take")
    return result


def call_for_json(program: Path, *arguments: str, cwd: Path, stdin: str | None = None) -> Any:
    """Run a tool that answers in JSON, whatever its exit status.

    Raises:
        AuthoringError: it cannot be run, or says something else; the message is what it says.
    """
    result = call(program, *arguments, cwd=cwd, stdin=stdin)
    try:
        return json.loads(result.stdout or result.stderr)
    except ValueError:
        raise AuthoringError((result.stderr or result.stdout).strip() or f"{program} said nothing") from None


@cache
def _allowed_builtins(opa: Path) -> str:
    capabilities = call_for_json(opa, "capabilities", "--current", cwd=Path.cwd())
    kept = [builtin for builtin in capabilities["builtins"] if builtin["name"] not in FORBIDDEN]
    # No host: the compiler would load what a schema in METADATA refers to.
    return json.dumps({**capabilities, "builtins": kept, "allow_net": []})


@cache
def builtin_names(opa: Path) -> frozenset[str]:
    """Return the names of OPA's builtins, and the first part of those that have several."""
    builtins = call_for_json(opa, "capabilities", "--current", cwd=Path.cwd())["builtins"]
    return frozenset(part for item in builtins for part in (item["name"], item["name"].split(".")[0]))


@contextmanager
def allowed_builtins(opa: Path) -> Iterator[str]:
    """Hold a file of OPA's capabilities less what policies may not call; give its path."""
    with tempfile.NamedTemporaryFile("w", suffix=".json", prefix="ztfm-") as file:
        file.write(_allowed_builtins(opa))
        file.flush()
        yield file.name


def locate_linter(environment: Mapping[str, str], tools: Path) -> Path | None:
    """Return regal, if there is one: ``REGAL_BIN``, then ``PATH``, then the project's tool folder."""
    named = environment.get("REGAL_BIN")
    found = named or shutil.which("regal", path=environment.get("PATH"))
    path = Path(found) if found else tools / "regal"
    return path if path.is_file() else None
