"""Kustomize, which renders manifests for Kubernetes: built once from its Go module, as pinned, into `.tools/kustomize`.

`python -m tests.servers.kustomize` prints where it is, or why there is none.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

PINNED = Path(__file__).parent / "go" / "kustomize"
FOLDER = Path(__file__).parents[2] / ".tools" / "kustomize"

_MODULE = "sigs.k8s.io/kustomize/kustomize/v5"
_SECONDS = 300.0


class KustomizeMissing(Exception):  # noqa: N818 - a state, as tests see it
    """There is no kustomize here; the message says why."""


def ensure_kustomize() -> Path:
    """Return kustomize; built when it is missing or another is pinned now.

    Raises:
        KustomizeMissing: it is not there and cannot be built.
    """
    pinned = hashlib.sha256((PINNED / "go.sum").read_bytes()).hexdigest()[:16]
    program = FOLDER / f"kustomize-{pinned}"
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.access(program, os.X_OK):
            if shutil.which("go") is None:
                raise KustomizeMissing("kustomize is built with Go, which is missing here")
            command = ["go", "build", "-mod=readonly", "-trimpath", "-o", str(program), _MODULE]
            try:
                subprocess.run(command, cwd=PINNED, check=True, capture_output=True, text=True, timeout=_SECONDS)
            except subprocess.CalledProcessError as error:
                raise KustomizeMissing(f"it cannot be built: {error.stderr.strip()[-300:]}") from None
            except subprocess.TimeoutExpired:
                raise KustomizeMissing(f"it was not built in {_SECONDS:.0f} s") from None
    return program


def rendered(folder: Path) -> list[dict[str, Any]]:
    """Return the objects that a folder with a kustomization stands for.

    Raises:
        KustomizeMissing: there is no kustomize.
        RuntimeError: it does not render; the message says why.
    """
    command = [str(ensure_kustomize()), "build", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    return [one for one in yaml.safe_load_all(done.stdout) if one]


if __name__ == "__main__":
    try:
        print(ensure_kustomize())
    except KustomizeMissing as missing:
        sys.exit(str(missing))
