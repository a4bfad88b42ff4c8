"""Check a bundle before it is released: with a real OPA, from the source that it brings.

What decides must be what was tested. So the bundle is built again from its source, and must come out the same.
"""

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from controlplane.authoring import AuthoringError, Finding, PolicyFolder, Tools, check, run_tests
from controlplane.authoring.layerfolder import open_folder
from controlplane.bundles import BundleRefused, VerifiedBundle
from controlplane.bundles.layout import WASM
from controlplane.contracts.policies import PolicyLayer, RefusalReason
from controlplane.releases.building import BuildError, WasmError, build_files
from controlplane.sidecar import BundleError, OpaBinary
from controlplane.sidecar.errors import OpaFailed
from controlplane.sidecar.folders import product_folder

_SHOWN = 20


def check_bundle(verified: VerifiedBundle, opa: OpaBinary) -> None:
    """Return when a verified bundle may be released. Blocking; takes seconds.

    Inputs are checked against the schemas of this installation, whatever the bundle brings.

    Raises:
        BundleRefused: ``cannot_be_checked`` (no source, or OPA fails), ``does_not_compile``, ``conflicting`` (it is not
            what its source builds, or claims what another layer owns), ``fails_checks``, ``fails_tests``.
    """
    source = verified.source()
    _require_same(verified, source, opa)
    try:
        with _unpacked(source, verified.layer) as folder:
            tools = Tools(opa.path)
            found = [finding for done in check(tools, folder, lint=False) for finding in done.findings]
            _require_none("does_not_compile", "fails_checks", found, folder.root)
            _require_none("fails_tests", "fails_tests", run_tests(tools, folder).findings, folder.root)
    except (AuthoringError, OSError) as error:
        raise BundleRefused("cannot_be_checked", str(error)) from None


def _require_same(verified: VerifiedBundle, source: Mapping[str, bytes], opa: OpaBinary) -> None:
    commit = verified.revision.rpartition(".")[0]
    try:
        built = build_files(opa, source, verified.layer, commit, wasm=WASM in verified.files)
    except OpaFailed as error:
        raise BundleRefused("cannot_be_checked", str(error)) from None
    except WasmError as error:
        raise BundleRefused("fails_checks", str(error)) from None
    except BuildError as error:
        raise BundleRefused("conflicting", str(error)) from None
    except BundleError as error:
        raise BundleRefused("does_not_compile", str(error)) from None
    if built.revision != verified.revision:
        raise BundleRefused("conflicting", f"the source is {built.revision}, the bundle says {verified.revision}")
    changed = sorted({name for name, _ in set(built.files.items()) ^ set(verified.files.items())})
    if changed:
        version = ".".join(map(str, opa.version))
        raise BundleRefused(
            "conflicting",
            f"{', '.join(changed[:_SHOWN])}: not what OPA {version} builds from the bundle's source. "
            "Build it with this version, from files that `opa fmt` left unchanged",
        )


@contextmanager
def _unpacked(source: Mapping[str, bytes], layer: PolicyLayer) -> Iterator[PolicyFolder]:
    built_in = product_folder("policies")
    with tempfile.TemporaryDirectory(prefix="ztfm-checking-") as name:
        root = Path(name).resolve()
        for file, body in source.items():
            path = root / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)
        for schema in (built_in / "schemas" / "input").glob("*.json"):
            target = root / "schemas" / "input" / schema.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(schema, target)
        yield open_folder(root, built_in, layer)


def _require_none(uncompiled: RefusalReason, otherwise: RefusalReason, findings: Sequence[Finding], root: Path) -> None:
    if not findings:
        return
    reason = uncompiled if any(item.check == "compile" for item in findings) else otherwise
    lines = [f"{item.file}:{item.line}: {item.check}: {item.message} {item.remedy}" for item in findings[:_SHOWN]]
    if len(findings) > _SHOWN:
        lines.append(f"and {len(findings) - _SHOWN} more")
    # The folder is gone when this is read: people have these files elsewhere.
    raise BundleRefused(reason, "\n".join(lines).replace(f"{root}/", ""))
