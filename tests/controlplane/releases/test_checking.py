"""What is released was tested: a bundle is built again from its source and must come out the same, and pass."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from controlplane.authoring import create_layer
from controlplane.bundles import BundleRefused, BundleSigner, Trust, VerifiedBundle, verify
from controlplane.bundles.archive import read_tar, write_tar
from controlplane.bundles.layout import DATA, MANIFEST, SOURCE, WASM
from controlplane.releases import checking
from controlplane.releases.building import UnsignedBundle, build
from controlplane.releases.checking import check_bundle
from controlplane.sidecar import OpaBinary, locate_opa
from controlplane.sidecar.folders import product_folder

SIGNER = BundleSigner.generate()
TRUST = Trust.of_key(SIGNER.public_key)


@pytest.fixture(scope="module")
def opa() -> OpaBinary:
    return locate_opa({"PATH": ""})


@pytest.fixture(scope="module")
def whole(opa: OpaBinary) -> UnsignedBundle:
    """The built-in policies, compiled for the embedded engine too."""
    return build(opa, product_folder("policies"))


@pytest.fixture(scope="module")
def product(whole: UnsignedBundle) -> UnsignedBundle:
    """The same for OPA alone, which is built again sooner."""
    return UnsignedBundle({name: body for name, body in whole.files.items() if name != WASM}, whole.revision, "base")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(product_folder("policies"), tmp_path / "policies"))


def verified(built: UnsignedBundle, **changed: bytes | None) -> VerifiedBundle:
    """Signed truly, with files replaced or taken away before."""
    files = {name: body for name, body in {**built.files, **changed}.items() if body is not None}
    revision = json.loads(files[MANIFEST])["revision"]
    return verify(SIGNER.sign(files, built.layer, revision), TRUST, built.layer)


def refusal(bundle: VerifiedBundle, opa: OpaBinary) -> BundleRefused:
    with pytest.raises(BundleRefused) as caught:
        check_bundle(bundle, opa)
    return caught.value


def with_source(built: UnsignedBundle, change: Callable[[dict[str, bytes]], Mapping[str, bytes]]) -> VerifiedBundle:
    return verified(built, **{SOURCE: write_tar(change(read_tar(built.files[SOURCE])))})


def test_the_built_in_policies_pass(opa: OpaBinary, whole: UnsignedBundle) -> None:
    check_bundle(verified(whole), opa)


def test_without_its_source_it_cannot_be_checked(opa: OpaBinary, product: UnsignedBundle) -> None:
    assert refusal(verified(product, **{SOURCE: None}), opa).reason == "cannot_be_checked"
    assert refusal(verified(product, **{SOURCE: b"no tar"}), opa).reason == "malformed"


def test_without_an_opa_it_cannot_be_checked(product: UnsignedBundle, tmp_path: Path) -> None:
    absent = OpaBinary(tmp_path / "no-opa", (1, 22, 0), "tools")
    assert refusal(verified(product), absent).reason == "cannot_be_checked"


@pytest.mark.parametrize("name", [DATA, "ztfm/batch/batch.rego", WASM])
def test_what_its_source_does_not_build_is_conflicting(opa: OpaBinary, whole: UnsignedBundle, name: str) -> None:
    others = {DATA: b'{"data": {}, "ztfm": {}}', WASM: b"\0asm", "ztfm/batch/batch.rego": b"package ztfm.batch\n"}
    found = refusal(verified(whole, **{name: others[name]}), opa)
    assert found.reason == "conflicting"
    assert name in found.detail


def test_a_rule_that_its_source_lacks_is_conflicting(opa: OpaBinary, product: UnsignedBundle) -> None:
    sly = b"package ztfm.sly\n\nit := 1\n"
    found = refusal(verified(product, **{"ztfm/sly/sly.rego": sly}), opa)
    assert (found.reason, "ztfm/sly/sly.rego" in found.detail) == ("conflicting", True)
    found = refusal(verified(product, **{"ztfm/other/policy.rego": None}), opa)
    assert (found.reason, "ztfm/other/policy.rego" in found.detail) == ("conflicting", True)


def test_a_source_of_another_content_is_conflicting(opa: OpaBinary, product: UnsignedBundle) -> None:
    bundle = with_source(product, lambda source: {**source, "ztfm/more/more.rego": b"package ztfm.more\n\nit := 1\n"})
    found = refusal(bundle, opa)
    assert (found.reason, product.revision in found.detail) == ("conflicting", True)


def test_a_source_that_claims_other_roots_is_conflicting(opa: OpaBinary, product: UnsignedBundle) -> None:
    bundle = with_source(product, lambda source: {**source, "site/a.rego": b"package site\n"})
    assert refusal(bundle, opa).reason == "conflicting"


def test_a_source_that_does_not_compile_says_where(opa: OpaBinary, product: UnsignedBundle) -> None:
    bundle = with_source(
        product, lambda source: {**source, "ztfm/more/more.rego": b"package ztfm.more\n\nallow if {\n"}
    )
    found = refusal(bundle, opa)
    assert (found.reason, "ztfm/more/more.rego:" in found.detail) == ("does_not_compile", True)


def test_what_the_strict_compiler_refuses_does_not_compile(opa: OpaBinary, folder: Path) -> None:
    wrong = "package ztfm.other\n\nsly if input.subject.nobody_has_this\n"
    (folder / "ztfm" / "other" / "sly.rego").write_text(wrong)
    found = refusal(verified(build(opa, folder, wasm=False)), opa)
    assert found.reason == "does_not_compile"
    assert "ztfm/other/sly.rego:" in found.detail
    assert "nobody_has_this" in found.detail


@pytest.mark.parametrize("name", ["schemas/input/sly.json", "data/limits/limits.schema.json"])
def test_a_schema_that_refers_to_something_elsewhere_is_refused(opa: OpaBinary, folder: Path, name: str) -> None:
    (folder / name).write_text('{"$ref": "file:///etc/hostname"}')
    found = refusal(verified(build(opa, folder, wasm=False)), opa)
    assert found.reason in ("does_not_compile", "fails_checks")
    assert "file:///etc/hostname" in found.detail


def test_a_test_reaches_outside_no_more_than_a_rule(opa: OpaBinary, folder: Path) -> None:
    leak = 'package ztfm.other_test\n\ntest_leak if opa.runtime().env.PATH == ""\n'
    (folder / "ztfm" / "other" / "sly_test.rego").write_text(leak)
    found = refusal(verified(build(opa, folder, wasm=False)), opa)
    assert (found.reason, "opa.runtime" in found.detail) == ("does_not_compile", True)


def test_own_schemas_do_not_make_up_facts(opa: OpaBinary, folder: Path) -> None:
    path = folder / "schemas" / "input" / "other.json"
    document = json.loads(path.read_text())
    document["properties"]["sly"] = {"type": "boolean"}
    path.write_text(json.dumps(document))
    rules = folder / "ztfm" / "other" / "policy.rego"
    rules.write_text(rules.read_text() + "\nsly if input.sly\n")
    found = refusal(verified(build(opa, folder, wasm=False)), opa)
    assert (found.reason, "sly" in found.detail) == ("does_not_compile", True)


def test_findings_are_refused_with_where_and_what_to_do(opa: OpaBinary, folder: Path) -> None:
    (folder / "data" / "limits" / "limits.schema.json").unlink()
    found = refusal(verified(build(opa, folder, wasm=False)), opa)
    assert found.reason == "fails_checks"
    assert "data/limits/data.json:1: data:" in found.detail
    assert "Write limits.schema.json beside it" in found.detail


def test_a_test_that_fails_is_refused_by_its_name(
    opa: OpaBinary, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The checks are another test's matter, and take seconds.
    monkeypatch.setattr(checking, "check", lambda *_, **__: ())
    test = folder / "ztfm" / "other" / "sly_test.rego"
    test.write_text("package ztfm.other_test\n\ntest_that_never_holds if false\n")
    found = refusal(verified(build(opa, folder, wasm=False)), opa)
    assert found.reason == "fails_tests"
    assert "test_that_never_holds" in found.detail


def test_many_findings_are_counted_and_name_files_as_people_have_them(
    monkeypatch: pytest.MonkeyPatch, opa: OpaBinary, tmp_path: Path
) -> None:
    (tmp_path / "ztfm" / "a").mkdir(parents=True)
    (tmp_path / "ztfm" / "a" / "a.rego").write_text("package ztfm.a\n\nit := 1\n\n\n")
    monkeypatch.setattr(checking, "_SHOWN", 1)
    found = refusal(verified(build(opa, tmp_path, wasm=False)), opa)
    assert found.reason == "fails_checks"
    first, last = found.detail.splitlines()
    assert first.endswith("Run: opa fmt --write ztfm/a/a.rego")
    assert last.startswith("and ")


def test_a_source_that_cannot_be_laid_out_cannot_be_checked(opa: OpaBinary, product: UnsignedBundle) -> None:
    bundle = with_source(product, lambda source: {**source, "README.md/more.md": b"a file is no folder"})
    assert refusal(bundle, opa).reason == "cannot_be_checked"


@pytest.fixture(scope="module")
def site(opa: OpaBinary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site's folder with one rule, as `ztfm policy new` makes it."""
    folder = tmp_path_factory.mktemp("site") / "policies"
    create_layer(opa.path, folder, "site", "night")
    return folder


def test_a_layer_that_was_just_made_passes_on_its_own(opa: OpaBinary, site: Path) -> None:
    check_bundle(verified(build(opa, site, "site")), opa)


def test_a_layer_that_leans_on_the_base_fails_its_checks(opa: OpaBinary, site: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(site, tmp_path / "policies"))
    (folder / "site" / "rules" / "sly.rego").write_text("package site.rules\n\nsly := data.ztfm.batch.decisions\n")
    found = refusal(verified(build(opa, folder, "site", wasm=False)), opa)
    assert found.reason == "fails_checks"
    assert "site/rules/sly.rego:3: confined: data.ztfm is not of the layer site." in found.detail


def test_a_layer_whose_test_fails_is_refused(opa: OpaBinary, site: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(site, tmp_path / "policies"))
    test = "package site.rules_test\n\ntest_that_never_holds if false\n"
    (folder / "site" / "rules" / "sly_test.rego").write_text(test)
    found = refusal(verified(build(opa, folder, "site", wasm=False)), opa)
    assert (found.reason, "test_that_never_holds" in found.detail) == ("fails_tests", True)
