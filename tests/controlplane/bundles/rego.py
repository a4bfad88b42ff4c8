"""Rego for the tests of the embedded engine: compiled, and evaluated by a real OPA beside it."""

import json
import os
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from controlplane.sidecar import locate_opa


def compiled(text: str, entrypoint: str) -> bytes:
    """Return a module, compiled to WebAssembly."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "probe.rego").write_text(text)
        _run(folder, "build", "--target", "wasm", "--entrypoint", entrypoint, "--output", "out.tar.gz", "probe.rego")
        with tarfile.open(Path(folder) / "out.tar.gz") as archive:
            found = archive.extractfile("/policy.wasm")
            assert found is not None
            return found.read()


def answered_by_opa(source: Path, query: str, facts: bytes) -> Any:
    """Return what OPA answers to a query about a module or a folder."""
    kind = "--bundle" if source.is_dir() else "--data"
    found = _run(str(Path.cwd()), "eval", kind, str(source), "--stdin-input", "--format", "json", query, facts=facts)
    return json.loads(found)["result"][0]["expressions"][0]["value"]


def _run(folder: str, *arguments: str, facts: bytes = b"") -> bytes:
    command = [str(locate_opa(os.environ).path), *arguments]
    done = subprocess.run(command, cwd=folder, input=facts, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, (done.stdout[-2000:], done.stderr[-2000:])
    return done.stdout
