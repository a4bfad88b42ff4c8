"""Turn the policy folder into a bundle with a revision that names its content."""

import hashlib
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

from controlplane.sidecar.errors import BundleError
from controlplane.sidecar.locate import OpaBinary

BUNDLE_NAME = "ztfm"
DEFAULT_ROOTS = ("ztfm", "data")
BUILD_SECONDS = 60.0
_ASIDE = {"examples", "schemas"}
_BUNDLED = (".rego", ".json", ".yaml")


def is_bundled(path: Path) -> bool:
    """Whether a file of the policy folder belongs into the bundle: rules and data, not tests, examples or schemas."""
    if path.name.endswith("_test.rego") or path.suffix not in _BUNDLED or _ASIDE & set(path.parts):
        return False
    if path.suffix == ".rego":
        return True
    return path.name.startswith("data.")


def content_digest(policies: Path) -> str:
    """SHA-256 over the names and bytes of all bundled files, in order: 64 hex digits."""
    digest = hashlib.sha256()
    for path in _bundled(policies):
        body = path.read_bytes()
        digest.update(f"{path.relative_to(policies).as_posix()}\0{len(body)}\0".encode())
        digest.update(body)
    return digest.hexdigest()


def _bundled(policies: Path) -> list[Path]:
    return sorted(item for item in policies.rglob("*") if item.is_file() and is_bundled(item.relative_to(policies)))


def git_commit(folder: Path) -> str:
    """Twelve digits of the commit that the folder is at, ``-dirty`` when it was changed, or ``nogit``."""
    command = ["git", "-C", str(folder), "describe", "--always", "--abbrev=12", "--dirty", "--exclude", "*"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)  # noqa: S603 - our own command line
    except (OSError, subprocess.TimeoutExpired):
        return "nogit"
    return result.stdout.strip() or "nogit"


def bundle_roots(policies: Path) -> list[str]:
    """Return the parts of OPA's data that the bundle owns: those of its ``.manifest``, else ``ztfm`` and ``data``.

    Raises:
        BundleError: the manifest cannot be read, or claims what guards OPA's own API.
    """
    manifest = policies / ".manifest"
    try:
        roots = json.loads(manifest.read_text())["roots"] if manifest.is_file() else list(DEFAULT_ROOTS)
    except (OSError, ValueError, KeyError, TypeError):
        raise BundleError(f'{manifest} is not of the form {{"roots": ["{BUNDLE_NAME}"]}}') from None
    if not isinstance(roots, list) or not roots or not all(isinstance(root, str) for root in roots):
        raise BundleError(f"{manifest}: roots is a list of names")
    if any(not root.strip("/") or root.strip("/").split("/")[0] == "system" for root in roots):
        raise BundleError(f"{manifest}: no root may be empty or under 'system', which guards OPA's own API")
    return roots


def build_bundle(opa: OpaBinary, policies: Path, destination: Path) -> str:
    """Compile ``policies`` into ``destination`` and return its revision, ``<commit>.<content>``.

    Rules and data are copied aside first, so that what is bundled is exactly what the revision names. The
    file appears whole or not at all, so a running sidecar never reads half a bundle.

    Raises:
        BundleError: the policies do not compile, or the folder holds none.
    """
    files = _bundled(policies)
    if not any(path.suffix == ".rego" for path in files):
        raise BundleError(f"{policies} holds no policies (*.rego)")
    roots = bundle_roots(policies)
    revision = f"{git_commit(policies)}.{content_digest(policies)[:16]}"
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.parent, prefix=".building-") as folder:
        staged, built = Path(folder) / "policies", Path(folder) / "bundle.tar.gz"
        for path in files:
            copy = staged / path.relative_to(policies)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        (staged / ".manifest").write_text(json.dumps({"roots": roots}))
        _compile(opa, staged, policies, revision, built)
        built.replace(destination)
    return revision


def _compile(opa: OpaBinary, staged: Path, policies: Path, revision: str, built: Path) -> None:
    command = [
        str(opa.path.resolve()),
        "build",
        "--bundle",
        ".",
        "--revision",
        revision,
        "--output",
        str(built.resolve()),
    ]
    try:
        result = subprocess.run(  # noqa: S603 - our own command line
            command, cwd=staged, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BundleError(f"{opa.path} could not build {policies}: {type(error).__name__}") from None
    if result.returncode != 0:
        raise BundleError(f"the policies in {policies} do not compile:\n{(result.stderr or result.stdout).strip()}")


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600, exist_ok=True)
    path.chmod(0o600)
    path.write_text(text)


def write_config(path: Path, publisher_url: str, publisher_token: str, resource: str, kept: Path) -> None:
    """Write OPA's configuration: the one bundle, asked for every one to two seconds, and no decision log.

    Args:
        path: of the configuration.
        publisher_url: where the bundle is served.
        publisher_token: bearer token of that service.
        resource: the bundle's path there.
        kept: folder for OPA's copy of the last good bundle.
    """
    config = {
        "services": {"publisher": {"url": publisher_url, "credentials": {"bearer": {"token": publisher_token}}}},
        "bundles": {
            BUNDLE_NAME: {
                "service": "publisher",
                "resource": resource,
                "persist": True,
                "polling": {"min_delay_seconds": 1, "max_delay_seconds": 2},
            }
        },
        "persistence_directory": str(kept),
        "labels": {"app": "ztfm"},
    }
    write_private(path, json.dumps(config))
