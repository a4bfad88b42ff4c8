"""What is shipped compiled, for where no OPA can be had: the built-in policies, and what combines layers.

``python -m controlplane.releases.compiled`` compiles it anew, which is due whenever ``policies/`` or
``opa/layers.rego`` changed; a test tells.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from controlplane.bundles import BundleRefused, write_archive
from controlplane.bundles.archive import write_tar
from controlplane.bundles.combined import COMBINATION
from controlplane.bundles.layout import MANIFEST, SOURCE
from controlplane.bundles.shipped import BASE, LAYERS, PLACE, NotShipped, read_shipped
from controlplane.releases.building import BuildError, UnsignedBundle, build_files, members, read_source
from controlplane.sidecar import OpaBinary, SidecarError, locate_opa
from controlplane.sidecar.bundle import compile_bundle, content_digest, git_commit
from controlplane.sidecar.folders import product_folder

_COMMIT = "compiled"


def read_built_in(folder: Path) -> UnsignedBundle:
    """Return the bundle of the built-in policies, byte for byte as `building.build` builds it, without an OPA.

    Args:
        folder: with the policies that are to decide; they must be those that were compiled.

    Raises:
        BuildError: they are others, or the installation lacks what is compiled.
        OSError: the folder cannot be read.
    """
    files = {name.removeprefix(BASE): content for name, content in _shipped().items() if name.startswith(BASE)}
    compiled = str(json.loads(files[MANIFEST])["revision"])
    content = content_digest(folder)[:16]
    if compiled != f"{_COMMIT}.{content}":
        raise BuildError(
            f"{folder} holds other policies than those that this installation has compiled, and without OPA nothing "
            "compiles them: build and publish them where there is one (`ztfm policy build`, `ztfm policy publish`; "
            "in a checkout whose policies/ changed, `make compiled`)"
        )
    revision = f"{git_commit(folder)}.{content}"
    files[MANIFEST] = files[MANIFEST].replace(compiled.encode(), revision.encode())
    files[SOURCE] = write_tar(read_source(folder, "base"))
    return UnsignedBundle(files, revision, "base")


def read_combination() -> bytes:
    """Return ``opa/layers.rego``, compiled.

    Raises:
        BuildError: the installation has no usable one.
    """
    return _shipped()[LAYERS]


def compile_shipped(opa: OpaBinary) -> bytes:
    """Return what is to be shipped: the same policies and OPA give the same bytes.

    Raises:
        SidecarError: something does not compile.
        OSError: a folder cannot be read.
    """
    built = build_files(opa, read_source(product_folder("policies"), "base"), "base", _COMMIT, wasm=True)
    rules = {"layers.rego": (product_folder("opa") / "layers.rego").read_bytes()}
    options = ("--target", "wasm", "--entrypoint", COMBINATION)
    manifest = {"roots": [COMBINATION.partition("/")[0]]}
    combined = members(compile_bundle(opa, rules, manifest, "", "opa/layers.rego", *options))
    base = {f"{BASE}{name}": content for name, content in built.files.items() if name != SOURCE}
    return write_archive({**base, LAYERS: combined["policy.wasm"]})


def _shipped() -> dict[str, bytes]:
    try:
        return read_shipped()
    except NotShipped as error:
        raise BuildError(str(error)) from None


def main() -> int:
    """Compile from the command line; print the path and the size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.parse_args()
    target = product_folder("opa") / PLACE
    try:
        body = compile_shipped(locate_opa(os.environ))
        target.parent.mkdir(exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as file:
            file.write(body)
        Path(file.name).chmod(0o644)
        Path(file.name).replace(target)
    except (SidecarError, BundleRefused, OSError) as error:
        print(f"controlplane.releases.compiled: {error}", file=sys.stderr)
        return 1
    print(f"{target}: {len(body):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
