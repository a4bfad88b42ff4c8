"""Build a layer's bundle from its policy folder: what OPA decides by, and what comes with it."""

import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from controlplane.bundles.archive import MAX_FILES, MAX_UNPACKED_BYTES, write_tar
from controlplane.bundles.errors import BundleRefused
from controlplane.bundles.layout import ENTRYPOINTS, ROOTS, SOURCE, WASM
from controlplane.bundles.reach import require_confined
from controlplane.contracts.policies import PolicyLayer
from controlplane.sidecar import BundleError, OpaBinary
from controlplane.sidecar.bundle import (
    bundle_roots,
    compile_bundle,
    git_commit,
    is_bundled,
    revision_of,
)
from controlplane.sidecar.errors import OpaFailed

_SOURCES = frozenset({".rego", ".json", ".yaml", ".yml", ".md"})
_DATA = frozenset({"data.json", "data.yaml", "data.yml"})
_HIDDEN_SOURCES = frozenset({".manifest", ".regal/config.yaml"})


class BuildError(BundleError):
    """A folder does not make a bundle; the message says why and what to do."""


class WasmError(BuildError):
    """The policies cannot be compiled to WebAssembly; without it they make a bundle, which only an OPA can use."""


@dataclass(frozen=True, slots=True)
class UnsignedBundle:
    """A bundle that nobody vouches for yet.

    Attributes:
        files: content by name, as `BundleSigner.sign` takes it.
        revision: ``<commit>.<content>``.
    """

    files: Mapping[str, bytes] = field(repr=False)
    revision: str
    layer: PolicyLayer


def build(opa: OpaBinary, folder: Path, layer: PolicyLayer = "base", *, wasm: bool = True) -> UnsignedBundle:
    """Build a policy folder. The same folder, commit and OPA give the same bundle, wherever and whenever.

    Args:
        opa: that compiles.
        folder: ``ztfm`` and ``data`` for the base; ``tenant`` or ``site`` for that layer.
        layer: whose policies they are.
        wasm: whether to compile for the embedded engine too.

    Raises:
        WasmError: they cannot be compiled for the embedded engine.
        BuildError: there are none, they claim what another layer owns, call what no policy may, or cannot be packed.
        BundleError: they do not compile.
        OSError: the folder cannot be read.
    """
    return build_files(opa, read_source(folder, layer), layer, git_commit(folder), wasm=wasm, said=str(folder))


def build_files(
    opa: OpaBinary, source: Mapping[str, bytes], layer: PolicyLayer, commit: str, *, wasm: bool, said: str = SOURCE
) -> UnsignedBundle:
    """Build from files in memory; see `build`.

    Args:
        opa: that compiles.
        source: content by name, as `read_source` reads it.
        layer: whose policies they are.
        commit: the first part of the revision.
        wasm: whether to compile for the embedded engine too.
        said: how an error calls the policies.

    Raises:
        BundleError: as `build` does.
    """
    _require_layer(source, layer, said)
    rules = {name: body for name, body in source.items() if is_bundled(Path(name))}
    if not any(name.endswith(".rego") for name in rules):
        raise BuildError(f"{said} holds no policies (*.rego)")
    try:
        require_confined(rules)
    except BundleRefused as refused:
        # Nobody would take it.
        raise BuildError(f"{said}/{refused.detail}") from None
    revision = revision_of(rules, commit)
    manifest = {"roots": list(ROOTS[layer]), "metadata": {"layer": layer}}
    files = members(compile_bundle(opa, rules, manifest, revision, said))
    files[SOURCE] = _packed(source)
    if wasm:
        files[WASM] = _compiled(opa, rules, manifest, revision, layer, said)
    return UnsignedBundle(files, revision, layer)


def read_source(folder: Path, layer: PolicyLayer) -> dict[str, bytes]:
    """Return the files of a layer's policy folder: rules, tests, examples, schemas, data, texts.

    Hidden files, files of other kinds and other folders are left where they are: they may be secrets. Rules and data
    in a wrong place are among what is returned, so that they are found.

    Raises:
        BuildError: there is more than a bundle may hold.
        OSError: a file cannot be read.
    """
    found: dict[str, bytes] = {}
    size = 0
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if not _is_source(name, layer) or not path.is_file():
            continue
        size += path.stat().st_size
        if size > MAX_UNPACKED_BYTES or len(found) == MAX_FILES:
            raise BuildError(f"{folder} holds more than a bundle may: is it a folder of policies alone?")
        found[name.as_posix()] = path.read_bytes()
    return found


def _is_source(name: Path, layer: PolicyLayer) -> bool:
    if any(part.startswith(".") for part in name.parts):
        return name.as_posix() in _HIDDEN_SOURCES
    is_own = len(name.parts) == 1 or name.parts[0] in (*ROOTS[layer], "schemas")
    return name.suffix in _SOURCES and (is_own or is_bundled(name))


def _require_layer(source: Mapping[str, bytes], layer: PolicyLayer, said: str) -> None:
    owned = ROOTS[layer]
    manifest = source.get(".manifest")
    if manifest is not None and sorted(bundle_roots(said, manifest)) != sorted(owned):
        raise BuildError(
            f"{said}/.manifest: the roots of the layer {layer} are {' and '.join(owned)}, all and no other"
        )
    if manifest is not None and set(json.loads(manifest)) != {"roots"}:
        # The compiler that checks would go by the rest, such as `rego_version`, and what decides does not.
        raise BuildError(f"{said}/.manifest: it names the roots and nothing else")
    unread = [name for name in source if _is_read_by_opa(name) and not is_bundled(Path(name))]
    if unread:
        raise BuildError(
            f"{said}/{unread[0]}: tests would go by it, and no bundle holds it. Data lies in data.json or data.yaml, "
            "and neither data nor rules lie below examples or schemas"
        )
    strays = [name for name in source if is_bundled(Path(name)) and name.split("/")[0] not in owned]
    if strays:
        raise BuildError(
            f"{said}/{strays[0]}: the layer {layer} owns {' and '.join(owned)}; its rules and data lie below, "
            "or the folder is another layer's (--layer)"
        )


def _is_read_by_opa(name: str) -> bool:
    return Path(name).name in _DATA or (name.endswith(".rego") and not name.endswith("_test.rego"))


def _packed(source: Mapping[str, bytes]) -> bytes:
    try:
        return write_tar(source)
    except BundleRefused as refusal:
        raise BuildError(f"the folder cannot be packed: {refusal.detail}") from None


def _compiled(
    opa: OpaBinary,
    rules: Mapping[str, bytes],
    manifest: Mapping[str, object],
    revision: str,
    layer: PolicyLayer,
    said: str,
) -> bytes:
    options = ("--target", "wasm", "--entrypoint", ENTRYPOINTS[layer])
    try:
        wasm = members(compile_bundle(opa, rules, manifest, revision, said, *options))["policy.wasm"]
    except OpaFailed:
        raise
    except BundleError as error:
        raise WasmError(f"{error}\n{_WITHOUT}") from None
    _require_builtins(wasm)
    return wasm


def _require_builtins(wasm: bytes) -> None:
    """Load it, where the engine for it is installed: what it calls must be there."""
    if find_spec("opapywasm") is None:
        return
    from controlplane.bundles.embedded import CompiledPolicy, NotLoadable
    from controlplane.bundles.instances import EmbeddedLimits

    try:
        CompiledPolicy(wasm, {}, EmbeddedLimits(instances=1)).close()
    except NotLoadable as error:
        raise WasmError(f"the embedded engine cannot use these policies: {error}. {_WITHOUT}") from None


_WITHOUT = "With --no-wasm they are built for OPA alone."


def members(body: bytes) -> dict[str, bytes]:
    """Return the files of a bundle that OPA itself made just now."""
    with tarfile.open(fileobj=io.BytesIO(body), mode="r:gz") as archive:
        files = {item.name.lstrip("/"): archive.extractfile(item) for item in archive if item.isfile()}
        return {name: file.read() for name, file in files.items() if file is not None}
