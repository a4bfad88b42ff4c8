"""Get the peers: each is built from a pinned Go module into ``.tools/peers``, once."""

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

from benchmarks.peers.engine import NotThere

HERE = Path(__file__).resolve().parent
TOOLS = HERE.parents[1] / ".tools" / "peers"
PACKAGES = {
    "cerbos": "github.com/cerbos/cerbos/cmd/cerbos",
    "openfga": "github.com/openfga/openfga/cmd/openfga",
    "topaz": "github.com/aserto-dev/topaz/topazd",
}
"""The program of each; versions are in the ``go.mod`` of the folder of its name."""

_STATUS = re.compile(r"\b[45]\d\d [A-Z][a-z]+( [A-Z][a-z]+)?")
_ADDRESS = re.compile(r"https?://\S+:? ?")


def built(name: str, tools: Path = TOOLS) -> Path:
    """Return a peer's program, building it first where it is not there or was built of other versions.

    A build takes minutes of one core, and leaves the other one to whoever needs it.

    Raises:
        NotThere: it cannot be built; the message says why.
    """
    program = tools / name
    if is_built(name, tools):
        return program
    go = shutil.which("go")
    if go is None:
        raise NotThere("Go is not installed: https://go.dev/doc/install")
    if not version_of(name):
        raise NotThere(f"no version of it is pinned: {_why_unpinned(go, name)}")
    tools.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "GOFLAGS": "-p=1 -buildvcs=false"}
    command = ["nice", "-n", "10", go, "build", "-trimpath", "-o", str(program), PACKAGES[name]]
    done = subprocess.run(command, cwd=HERE / name, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NotThere(f"it does not build: {_last_words(done.stderr)}")
    (tools / f"{name}.pins").write_text(_pins(name))
    return program


def is_built(name: str, tools: Path = TOOLS) -> bool:
    """Whether a peer's program is there, of the versions that are pinned today."""
    stamp = tools / f"{name}.pins"
    return (tools / name).exists() and stamp.exists() and stamp.read_text() == _pins(name)


def version_of(name: str) -> str:
    """Return the version that is pinned, or nothing where none is."""
    found = re.search(rf"^\s*{re.escape(_module(name))} (\S+)", (HERE / name / "go.mod").read_text(), re.MULTILINE)
    return found[1] if found else ""


def _module(name: str) -> str:
    return "/".join(PACKAGES[name].split("/")[:3])


def _why_unpinned(go: str, name: str) -> str:
    """Return what Go's module proxy says of the versions of a peer's module."""
    command = [go, "list", "-m", "-versions", _module(name)]
    done = subprocess.run(command, cwd=HERE / name, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = _STATUS.search(done.stderr)
        return f"Go's module proxy serves none ({said[0] if said else _last_words(done.stderr)})"
    return f"choose one in benchmarks/peers/{name}/go.mod, of {' '.join(done.stdout.split()[-3:])}"


def _pins(name: str) -> str:
    digest = hashlib.sha256()
    for file in ("go.mod", "go.sum"):
        path = HERE / name / file
        digest.update(path.read_bytes() if path.exists() else b"")
    return digest.hexdigest()


def _last_words(text: str) -> str:
    lines = [_ADDRESS.sub("", line).strip() for line in text.splitlines() if line.strip()]
    return "; ".join(lines[-3:])[-300:] or "it says nothing"
