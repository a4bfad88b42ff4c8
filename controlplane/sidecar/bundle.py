"""Turn the policy folder into a bundle with a revision that names its content."""

import hashlib
import json
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from controlplane.sidecar.errors import BundleError, OpaFailed
from controlplane.sidecar.files import write_whole
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


def read_policies(policies: Path) -> dict[str, bytes]:
    """Return what belongs into the bundle of a policy folder: content by name, in order.

    Raises:
        BundleError: the folder holds no policies.
    """
    paths = sorted(item for item in policies.rglob("*") if item.is_file() and is_bundled(item.relative_to(policies)))
    if not any(path.suffix == ".rego" for path in paths):
        raise BundleError(f"{policies} holds no policies (*.rego)")
    return {path.relative_to(policies).as_posix(): path.read_bytes() for path in paths}


def digest_of_content(files: Mapping[str, bytes]) -> str:
    """SHA-256 over names and bytes of what is bundled, in order: 64 hex digits."""
    digest = hashlib.sha256()
    for name, body in sorted(files.items(), key=lambda item: Path(item[0])):
        digest.update(f"{name}\0{len(body)}\0".encode())
        digest.update(body)
    return digest.hexdigest()


def content_digest(policies: Path) -> str:
    """`digest_of_content` of a policy folder.

    Raises:
        BundleError: the folder holds no policies.
    """
    return digest_of_content(read_policies(policies))


def git_commit(folder: Path) -> str:
    """Twelve digits of the commit that the folder is at, ``-dirty`` when it was changed, or ``nogit``."""
    command = ["git", "-C", str(folder), "describe", "--always", "--abbrev=12", "--dirty", "--exclude", "*"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)  # noqa: S603 - our own command line
    except (OSError, subprocess.TimeoutExpired):
        return "nogit"
    return result.stdout.strip() or "nogit"


def bundle_roots(folder: str, manifest: bytes) -> list[str]:
    """Return the parts of OPA's data that a folder's ``.manifest`` says its bundle owns.

    Raises:
        BundleError: the manifest cannot be read, or claims what guards OPA's own API.
    """
    said = f"{folder}/.manifest"
    try:
        roots = json.loads(manifest)["roots"]
    except (ValueError, KeyError, TypeError):
        raise BundleError(f'{said} is not of the form {{"roots": ["ztfm", "data"]}}') from None
    if not isinstance(roots, list) or not roots or not all(isinstance(root, str) for root in roots):
        raise BundleError(f"{said}: roots is a list of names")
    if any(not root.strip("/") or root.strip("/").split("/")[0] == "system" for root in roots):
        raise BundleError(f"{said}: no root may be empty or under 'system', which guards OPA's own API")
    return roots


def build_bundle(opa: OpaBinary, policies: Path, destination: Path) -> str:
    """Compile ``policies`` into ``destination``, unsigned, and return its revision, ``<commit>.<content>``.

    The file appears whole or not at all, so a running sidecar never reads half a bundle.

    Raises:
        BundleError: the policies do not compile, or the folder holds none.
    """
    files = read_policies(policies)
    claimed = policies / ".manifest"
    roots = bundle_roots(str(policies), claimed.read_bytes()) if claimed.is_file() else list(DEFAULT_ROOTS)
    revision = revision_of(files, git_commit(policies))
    body = compile_bundle(opa, files, {"roots": roots}, revision, str(policies))
    write_whole(destination, body)
    return revision


def revision_of(files: Mapping[str, bytes], commit: str) -> str:
    """Return the revision of what is bundled: ``<commit>.<16 digits of its digest>``."""
    return f"{commit}.{digest_of_content(files)[:16]}"


def compile_bundle(
    opa: OpaBinary, files: Mapping[str, bytes], manifest: Mapping[str, object], revision: str, said: str, *options: str
) -> bytes:
    """Return the bundle that ``opa build`` makes of files, a ``.tar.gz``.

    The files are written aside first, so that what is bundled is exactly what the revision names.

    Args:
        opa: that builds.
        files: rules and data: content by name.
        manifest: what the bundle's ``.manifest`` says beside its revision.
        revision: of the bundle.
        said: how an error calls the policies.
        options: more of ``opa build``.

    Raises:
        OpaFailed: OPA could not be run, or not in time.
        BundleError: the policies do not compile.
    """
    with tempfile.TemporaryDirectory(prefix="ztfm-building-") as folder:
        staged, built = Path(folder) / "policies", Path(folder) / "bundle.tar.gz"
        for name, body in files.items():
            copy = staged / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(body)
        (staged / ".manifest").write_text(json.dumps(manifest))
        arguments = ["build", "--bundle", ".", "--revision", revision, "--output", str(built), *options]
        try:
            result = subprocess.run(  # noqa: S603 - our own command line
                [str(opa.path.resolve()), *arguments],
                cwd=staged,
                capture_output=True,
                text=True,
                timeout=BUILD_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise OpaFailed(f"{opa.path} could not build {said}: {type(error).__name__}") from None
        if result.returncode != 0:
            raise BundleError(f"the policies in {said} do not compile:\n{(result.stderr or result.stdout).strip()}")
        return built.read_bytes()
