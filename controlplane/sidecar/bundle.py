"""Turn the policy folder into a bundle with a revision that names its content."""

import hashlib
import json
import subprocess
from pathlib import Path

from controlplane.sidecar.locate import OpaBinary

BUNDLE_NAME = "ztfm"
_BUNDLED = (".rego", ".json", ".yaml")


class BundleError(Exception):
    """The policies do not compile; the message is OPA's own, with file and line."""


def is_bundled(path: Path) -> bool:
    """Whether a file of the policy folder belongs into the bundle: rules and data, not tests, examples or schemas."""
    if path.name.endswith("_test.rego") or path.suffix not in _BUNDLED:
        return False
    if path.suffix == ".rego":
        return True
    return path.name.startswith("data.")


def content_digest(policies: Path) -> str:
    """SHA-256 over the names and bytes of all bundled files, in order: 64 hex digits."""
    digest = hashlib.sha256()
    for path in sorted(item for item in policies.rglob("*") if item.is_file() and is_bundled(item)):
        body = path.read_bytes()
        digest.update(f"{path.relative_to(policies).as_posix()}\0{len(body)}\0".encode())
        digest.update(body)
    return digest.hexdigest()


def git_commit(folder: Path) -> str:
    """Twelve digits of the commit that the folder is at, ``-dirty`` when it was changed, or ``nogit``."""
    command = ["git", "-C", str(folder), "describe", "--always", "--abbrev=12", "--dirty", "--exclude", "*"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "nogit"
    return result.stdout.strip() or "nogit"


def build_bundle(opa: OpaBinary, policies: Path, destination: Path) -> str:
    """Compile ``policies`` into ``destination`` and return its revision, ``<commit>.<content>``.

    The file appears whole or not at all, so a running sidecar never reads half a bundle.

    Raises:
        BundleError: the policies do not compile, or a folder holds none.
    """
    revision = f"{git_commit(policies)}.{content_digest(policies)[:16]}"
    destination.parent.mkdir(parents=True, exist_ok=True)
    temporary = destination.with_suffix(".building")
    command = [str(opa.path), "build", "--bundle", str(policies), "--revision", revision, "--output", str(temporary)]
    for pattern in ("*_test.rego", "examples", "schemas", "*.schema.json"):
        command += ["--ignore", pattern]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if result.returncode != 0:
        raise BundleError(f"the policies in {policies} do not compile:\n{(result.stderr or result.stdout).strip()}")
    temporary.replace(destination)
    return revision


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600, exist_ok=True)
    path.chmod(0o600)
    path.write_text(text)


def write_config(path: Path, bundle: Path) -> None:
    """Write OPA's configuration: the one bundle from a file, polled every one to two seconds, and no decision log."""
    config = {
        "bundles": {
            BUNDLE_NAME: {
                "resource": bundle.resolve().as_uri(),
                "polling": {"min_delay_seconds": 1, "max_delay_seconds": 2},
            }
        },
        "labels": {"app": "ztfm"},
    }
    write_private(path, json.dumps(config))
