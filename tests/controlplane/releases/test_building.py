"""A folder makes one bundle, the same wherever and whenever, with what it was built from."""

import json
import os
import shutil
from pathlib import Path

import pytest

from controlplane.bundles import BundleSigner, Trust, verify
from controlplane.bundles.archive import read_tar
from controlplane.bundles.embedded import CompiledPolicy
from controlplane.bundles.layout import DATA, ENTRYPOINTS, MANIFEST, ROOTS, SOURCE, WASM
from controlplane.contracts.policies import LAYERS, PolicyLayer
from controlplane.releases import building
from controlplane.releases.building import BuildError, WasmError, build, read_source
from controlplane.sidecar import BundleError, OpaBinary, build_bundle, locate_opa
from controlplane.sidecar.errors import OpaFailed
from controlplane.sidecar.folders import product_folder

SIGNER = BundleSigner.generate()


@pytest.fixture(scope="module")
def opa() -> OpaBinary:
    return locate_opa({"PATH": ""})


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def layer_folder(folder: Path, layer: PolicyLayer) -> Path:
    """The smallest folder of a layer with rules, tests, data and what does not belong into a bundle."""
    root, rule = ("ztfm", "decisions") if layer == "base" else (layer, "answers")
    rules = f'package {root}.batch\n\n{rule}[id] := data.{root}.limits if some id, "x" in input\n'
    return write(
        folder,
        **{
            f"{root}/batch/batch.rego": rules,
            f"{root}/batch/batch_test.rego": f"package {root}.batch_test\n\ntest_nothing if true\n",
            f"{root}/batch/examples/denied.json": "{}",
            f"{root}/limits/data.json": '{"most": 1.50}',
            f"{root}/limits/limits.schema.json": "{}",
            "README.md": "Ours.",
            ".regal/config.yaml": "rules: {}\n",
            ".env": "PASSWORD=secret",
            ".git/config.json": "{}",
            "node_modules/package.json": "{}",
            "key.pem": "secret",
        },
    )


@pytest.mark.parametrize("layer", LAYERS)
def test_each_layer_makes_a_bundle_of_its_own(opa: OpaBinary, tmp_path: Path, layer: PolicyLayer) -> None:
    built = build(opa, layer_folder(tmp_path, layer), layer)
    root = "ztfm" if layer == "base" else layer
    assert set(built.files) == {MANIFEST, DATA, SOURCE, WASM, f"{root}/batch/batch.rego"}
    manifest = json.loads(built.files[MANIFEST])
    assert manifest == {
        "revision": built.revision,
        "roots": list(ROOTS[layer]),
        "rego_version": 1,
        "metadata": {"layer": layer},
    }
    assert json.loads(built.files[DATA]) == {root: {"limits": {"most": 1.5}}}
    found = verify(SIGNER.sign(built.files, layer, built.revision), Trust.of_key(SIGNER.public_key), layer)
    assert found.revision == built.revision
    policy = CompiledPolicy(built.files[WASM], json.loads(built.files[DATA]))
    try:
        assert policy.ask(ENTRYPOINTS[layer], b'{"a": "x", "b": "y"}') == {"a": {"most": 1.5}}
    finally:
        policy.close()


def test_the_source_comes_along_without_what_may_be_secret(opa: OpaBinary, tmp_path: Path) -> None:
    folder = layer_folder(tmp_path, "site")
    source = read_tar(build(opa, folder, "site", wasm=False).files[SOURCE])
    assert set(source) == {
        ".regal/config.yaml",
        "README.md",
        "site/batch/batch.rego",
        "site/batch/batch_test.rego",
        "site/batch/examples/denied.json",
        "site/limits/data.json",
        "site/limits/limits.schema.json",
    }
    assert source == read_source(folder, "site")


def test_more_than_a_bundle_may_hold_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = layer_folder(tmp_path, "site")
    for bound, most in (("MAX_FILES", 6), ("MAX_UNPACKED_BYTES", 20)):
        with monkeypatch.context() as patch:
            patch.setattr(building, bound, most)
            with pytest.raises(BuildError, match="more than a bundle may"):
                read_source(folder, "site")


def test_the_same_folder_is_the_same_bytes_wherever_and_whenever(
    opa: OpaBinary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = []
    for number, mask in enumerate((0o022, 0o077)):
        monkeypatch.setenv("TZ", ("UTC", "Asia/Tokyo")[number])
        old = os.umask(mask)
        try:
            folder = tmp_path / f"copy-{number}" / ("deeper/" * number)
            shutil.copytree(product_folder("policies"), folder)
            for path in folder.rglob("*"):
                os.utime(path, (1_000_000_000 + number, 1_000_000_000 + number))
            built = build(opa, folder)
        finally:
            os.umask(old)
        bodies.append(SIGNER.sign(built.files, "base", built.revision))
    assert bodies[0] == bodies[1]


def test_the_revision_is_that_of_the_rules_and_data(opa: OpaBinary, tmp_path: Path) -> None:
    folder = layer_folder(tmp_path, "base")
    first = build(opa, folder, wasm=False)
    assert first.revision == build_bundle(opa, folder, tmp_path / "out" / "bundle.tar.gz")
    write(folder, **{"ztfm/batch/batch_test.rego": "package ztfm.batch_test\n\ntest_more if true\n"})
    tested = build(opa, folder, wasm=False)
    assert (tested.revision, tested.files[SOURCE] == first.files[SOURCE]) == (first.revision, False)
    write(folder, **{"ztfm/limits/data.json": '{"most": 2}'})
    assert build(opa, folder, wasm=False).revision != first.revision


def test_a_layer_holds_nothing_of_another(opa: OpaBinary, tmp_path: Path) -> None:
    for layer in LAYERS:
        for other in set(LAYERS) - {layer}:
            folder = layer_folder(tmp_path / layer / other, layer)
            layer_folder(folder, other)
            with pytest.raises(BuildError, match=f"the layer {layer} owns"):
                build(opa, folder, layer)
    with pytest.raises(BuildError, match="--layer"):
        build(opa, layer_folder(tmp_path / "site", "site"))


def test_a_package_of_another_layer_is_refused_by_opa(opa: OpaBinary, tmp_path: Path) -> None:
    folder = layer_folder(tmp_path, "site")
    write(folder, **{"site/sly/sly.rego": "package ztfm.batch\n\ndecisions := {}\n"})
    with pytest.raises(BundleError, match="roots"):
        build(opa, folder, "site")


def test_a_folder_that_claims_other_roots_is_refused(opa: OpaBinary, tmp_path: Path) -> None:
    folder = layer_folder(tmp_path, "base")
    write(folder, **{".manifest": '{"roots": ["data", "ztfm"]}'})
    assert build(opa, folder, wasm=False)
    for roots in (["ztfm"], ["ztfm", "data", "site"], ["tenant"]):
        write(folder, **{".manifest": json.dumps({"roots": roots})})
        with pytest.raises(BuildError, match="roots of the layer base are data and ztfm"):
            build(opa, folder)
    write(folder, **{".manifest": json.dumps({"roots": ["ztfm", "data"], "rego_version": 0})})
    with pytest.raises(BuildError, match="and nothing else"):
        build(opa, folder, wasm=False)
    write(folder, **{".manifest": "{}"})
    with pytest.raises(BundleError, match="not of the form"):
        build(opa, folder)


@pytest.mark.parametrize("name", ["schemas/sly.rego", "ztfm/batch/examples/data.json", "ztfm/limits/data.yml"])
def test_what_tests_go_by_and_no_bundle_holds_is_refused(opa: OpaBinary, tmp_path: Path, name: str) -> None:
    folder = layer_folder(tmp_path, "base")
    write(folder, **{name: "package ztfm.sly\n" if name.endswith(".rego") else "{}"})
    with pytest.raises(BuildError, match=f"{name}: tests would go by it"):
        build(opa, folder, wasm=False)


def test_what_reaches_outside_is_not_built(opa: OpaBinary, tmp_path: Path) -> None:
    folder = layer_folder(tmp_path, "base")
    write(folder, **{"ztfm/sly/sly.rego": "package ztfm.sly\n\nsly if time.now_ns() > 0\n"})
    with pytest.raises(BuildError, match=r"/ztfm/sly/sly\.rego:3: The builtin time\.now_ns reads the wall clock"):
        build(opa, folder)


def test_what_does_not_compile_says_where(opa: OpaBinary, tmp_path: Path) -> None:
    folder = write(layer_folder(tmp_path, "base"), **{"ztfm/broken.rego": "package ztfm.broken\n\nallow if {\n"})
    with pytest.raises(BundleError, match=r"ztfm/broken\.rego:\d+") as caught:
        build(opa, folder)
    assert not isinstance(caught.value, OpaFailed)


def test_a_folder_without_rules_is_none(opa: OpaBinary, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "absent", write(tmp_path, **{"ztfm/data.json": "{}"})):
        with pytest.raises(BuildError, match="holds no policies"):
            build(opa, folder)


def test_a_name_that_no_bundle_has_says_so(opa: OpaBinary, tmp_path: Path) -> None:
    folder = write(layer_folder(tmp_path, "base"), **{"ztfm/batch/examples/é.json": "{}"})
    with pytest.raises(BuildError, match="cannot be packed"):
        build(opa, folder, wasm=False)


def test_an_opa_that_cannot_run_says_nothing_about_the_policies(tmp_path: Path) -> None:
    absent = OpaBinary(tmp_path / "no-opa", (1, 22, 0), "tools")
    with pytest.raises(OpaFailed, match="could not build"):
        build(absent, layer_folder(tmp_path, "base"))


def test_a_builtin_that_the_embedded_engine_lacks_is_named(opa: OpaBinary, tmp_path: Path) -> None:
    folder = layer_folder(tmp_path, "base")
    rules = 'package ztfm.batch\n\ndecisions[id] := urlquery.encode(id) if some id, "y" in input\n'
    write(folder, **{"ztfm/batch/more.rego": rules})
    with pytest.raises(WasmError, match=r"urlquery\.encode.*--no-wasm"):
        build(opa, folder)
    assert WASM not in build(opa, folder, wasm=False).files


def test_without_the_embedded_engine_its_builtins_are_its_own_matter(
    opa: OpaBinary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = layer_folder(tmp_path, "base")
    with_engine = build(opa, folder).files
    monkeypatch.setattr(building, "find_spec", lambda _: None)
    assert build(opa, folder).files == with_engine


def test_a_folder_without_the_entry_point_is_for_opa_alone(opa: OpaBinary, tmp_path: Path) -> None:
    folder = write(tmp_path, **{"ztfm/a/a.rego": "package ztfm.a\n\nit := 1\n"})
    with pytest.raises(WasmError, match="ztfm/batch/decisions"):
        build(opa, folder)
    assert WASM not in build(opa, folder, wasm=False).files
