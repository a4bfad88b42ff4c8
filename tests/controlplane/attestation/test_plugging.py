"""Verifiers are those of which there are roots: with this package, or by their entry point, and whole."""

import sys
from pathlib import Path

import pytest

from controlplane.attestation.plugging import BUILT_IN, GROUP, VerifierUnusable, kinds_in, open_verifiers
from tests.controlplane.attestation.lab import KIND, Lab, LabVerifier, install


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place where packages are installed."""
    folder = tmp_path / "packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    return folder


@pytest.fixture
def roots(tmp_path: Path) -> Path:
    return Lab().roots(tmp_path / "roots")


def test_a_kind_of_which_there_are_roots_is_verified(packages: Path, roots: Path) -> None:
    install(packages)
    (roots / ".hidden").mkdir()
    (roots / "README").write_text("Roots of the lab.")
    verifiers = open_verifiers(roots)
    assert list(verifiers) == [KIND]
    assert isinstance(verifiers[KIND], LabVerifier)


def test_a_kind_that_nobody_brings_is_an_error(roots: Path) -> None:
    with pytest.raises(VerifierUnusable, match=GROUP):
        open_verifiers(roots)


def test_of_two_packages_that_bring_one_neither_is_taken(packages: Path, roots: Path) -> None:
    install(packages)
    (packages / "ztfm_lab-1.0.dist-info").rename(packages / "ztfm_other-1.0.dist-info")
    (packages / "ztfm_other-1.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: ztfm-other\nVersion: 1.0\n"
    )
    install(packages)
    with pytest.raises(VerifierUnusable, match="several"):
        open_verifiers(roots)


def test_one_that_cannot_be_opened_says_why(packages: Path, roots: Path) -> None:
    install(packages)
    (roots / KIND / "bench.key").unlink()
    with pytest.raises(VerifierUnusable, match=r"lab cannot be verified .*: there is no key in it"):
        open_verifiers(roots)


def test_one_whose_library_is_missing_names_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tdx").mkdir()
    monkeypatch.delitem(sys.modules, "controlplane.attestation.verifiers.tdx", raising=False)
    monkeypatch.delitem(sys.modules, "controlplane.attestation.dcap.verifying", raising=False)
    monkeypatch.setitem(sys.modules, "dcap_qvl", None)
    with pytest.raises(VerifierUnusable, match=r"dcap_qvl.*ztfm\[server,attest\]"):
        open_verifiers(tmp_path)


def test_one_of_another_kind_than_its_name_is_not_taken(packages: Path, roots: Path) -> None:
    install(packages)
    about = packages / "ztfm_lab-1.0.dist-info" / "entry_points.txt"
    about.write_text(about.read_text().replace(f"{KIND} =", "bench ="))
    (roots / KIND).rename(roots / "bench")
    with pytest.raises(VerifierUnusable, match="'lab'"):
        open_verifiers(roots)


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(VerifierUnusable, match="ZTFM_ATTESTATION_ROOTS"):
        kinds_in(tmp_path / "nowhere")


def test_each_kind_that_comes_with_it_is_a_module() -> None:
    folder = Path(sys.modules["controlplane.attestation.plugging"].__file__ or "").parent / "verifiers"
    assert {path.stem for path in folder.glob("[a-z]*.py")} == set(BUILT_IN)
