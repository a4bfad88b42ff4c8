"""Get OPA and regal: ``python -m controlplane.sidecar.install [--regal] [--or-embedded]``.

Order: what is already there (``OPA_BIN``, ``PATH``, the tool folder), the official release binary where its
SHA-256 is pinned in ``opa/release.json``, a build from the Go modules under ``opa/``.
"""

import argparse
import hashlib
import http.client
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

from controlplane.sidecar.folders import product_folder, tools_folder
from controlplane.sidecar.locate import WAYS, OpaNotFound, locate_opa

MODULES = {
    "opa": (".", "github.com/open-policy-agent/opa"),
    "regal": ("regal", "github.com/open-policy-agent/regal"),
}
"""Folder under ``opa/`` whose go.mod pins the tool, and its package.

Two modules: what the linter needs must not pin OPA.
"""

DOWNLOAD_TIMEOUT_SECONDS = 60
MAX_BINARY_BYTES = 256 * 1024 * 1024


def download_release(destination: Path, release: Path) -> str | None:
    """Fetch the pinned release binary for this platform; return why not, or none on success."""
    pins = json.loads(release.read_text()) if release.is_file() else {}
    key = f"{platform.system().lower()}_{platform.machine().lower()}"
    pin = pins.get("platforms", {}).get(key)
    if not pin:
        return f"no release binary is pinned for {key}"
    try:
        with urllib.request.urlopen(pin["url"], timeout=DOWNLOAD_TIMEOUT_SECONDS) as response:  # noqa: S310 - pinned https
            body = response.read(MAX_BINARY_BYTES)
    except (http.client.HTTPException, OSError) as error:
        return f"the release could not be fetched ({type(error).__name__})"
    if hashlib.sha256(body).hexdigest() != pin["sha256"]:
        return "the release's SHA-256 is not the pinned one; it was not kept"
    _place(body, destination)
    return None


def _place(body: bytes, destination: Path) -> None:
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=destination.parent, delete=False) as file:
        file.write(body)
    Path(file.name).chmod(0o755)
    Path(file.name).replace(destination)


def build_from_module(tool: str, destination: Path) -> str | None:
    """Build a tool from the pinned Go module; return why not, or none on success."""
    go = shutil.which("go")
    if go is None:
        return "Go is not installed"
    destination.parent.mkdir(parents=True, exist_ok=True)
    folder, package = MODULES[tool]
    command = [go, "build", "-trimpath", "-o", str(destination), package]
    result = subprocess.run(command, cwd=product_folder("opa") / folder, capture_output=True, text=True, check=False)  # noqa: S603 - our own command line
    return None if result.returncode == 0 else f"go build failed: {result.stderr.strip()[-400:]}"


def install(tool: str, tools: Path) -> Path:
    """Return the path of a usable tool, getting it first where needed.

    Raises:
        OpaNotFound: every way failed; the message says how each did.
    """
    destination = tools / tool
    if tool == "opa":
        try:
            return locate_opa(os.environ, tools).path
        except OpaNotFound as error:
            if os.environ.get("OPA_BIN"):
                raise
            tried = [str(error).splitlines()[-1].strip().removeprefix("tried ")]
    else:
        existing = (
            os.environ.get("REGAL_BIN") or shutil.which("regal") or (destination if destination.exists() else None)
        )
        if existing:
            return Path(existing)
        tried = []
    if tool == "opa":
        print("getting OPA: the pinned release ...", file=sys.stderr, flush=True)
        reason = download_release(destination, product_folder("opa") / "release.json")
        if reason is None:
            return destination
        tried.append(reason)
    if shutil.which("go") is not None:
        print(f"building {tool} with Go (a minute or two, once) ...", file=sys.stderr, flush=True)
    reason = build_from_module(tool, destination)
    if reason is None:
        return destination
    raise OpaNotFound([*tried, reason])


def _can_do_without() -> bool:
    # An OPA_BIN that does not work is a mistake to mend, not a machine without OPA.
    return importlib.util.find_spec("opapywasm") is not None and not os.environ.get("OPA_BIN")


_WITHOUT = """going on without OPA: the embedded engine evaluates the built-in policies, in the demo by itself, and for
`ztfm serve --engine embedded`. Writing, testing and publishing policies need OPA (docs/embedded.md)."""


_WITHOUT_LINTER = """no regal, the linter for Rego, was found; its releases are not fetched. Any of these gives you one:
  - set REGAL_BIN to the path of a regal binary, or put regal on your PATH (https://github.com/open-policy-agent/regal)
  - install Go 1.26 or later and run: python -m controlplane.sidecar.install --regal"""


def main() -> int:
    """Install from the command line; print the paths."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--regal", action="store_true", help="also the Rego linter, for policy authors")
    parser.add_argument("--or-embedded", action="store_true", help="without OPA, be content with the embedded engine")
    arguments = parser.parse_args()
    for tool in ("opa", "regal") if arguments.regal else ("opa",):
        try:
            print(install(tool, tools_folder()))
        except OpaNotFound as error:
            print(error if tool == "opa" else _WITHOUT_LINTER + str(error).removeprefix(WAYS), file=sys.stderr)
            if tool == "opa" and arguments.or_embedded and _can_do_without():
                print(_WITHOUT, file=sys.stderr)
                continue
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
