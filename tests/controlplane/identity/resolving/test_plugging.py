"""Methods that other packages bring: found by their entry point, where they were asked for, and whole."""

from pathlib import Path

import pytest

from controlplane.identity.resolving.plugging import GROUP, MethodUnusable, plugged

MODULE = """
from controlplane.identity.resolving.interface import Found
from controlplane.identifiers.documents import document_of


class Method:
    name = "{name}"

    def is_computed(self, did):
        return True

    def check(self, did):
        pass

    async def resolve(self, did):
        return Found(document_of(did, [], [], []))

    async def close(self):
        pass


def broken():
    raise RuntimeError("no chain is configured")
"""


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place where packages are installed."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def install(packages: Path, package: str, name: str, made_by: str = "Method", named: str | None = None) -> None:
    """Install a package that brings a method, as an installer would leave it."""
    (packages / f"{package}.py").write_text(MODULE.format(name=named or name))
    about = packages / f"{package}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[{GROUP}]\n{name} = {package}:{made_by}\n")


def test_a_method_that_is_asked_for_is_found(packages: Path) -> None:
    install(packages, "ztfm_plug_a", "pluga")
    (method,) = plugged(["pluga"]).values()
    assert method.name == "pluga"


def test_nothing_is_loaded_that_was_not_asked_for(packages: Path) -> None:
    install(packages, "ztfm_plug_b", "plugb", "broken")
    assert plugged([]) == {}


@pytest.mark.parametrize("name", ["nowhere", "Plug", "", "plug-c"])
def test_a_method_that_nobody_brings_is_an_error(packages: Path, name: str) -> None:
    with pytest.raises(MethodUnusable, match="ZTFM_DID_METHODS"):
        plugged([name])


def test_of_two_packages_that_bring_one_neither_is_taken(packages: Path) -> None:
    install(packages, "ztfm_plug_d", "plugd")
    install(packages, "ztfm_plug_e", "plugd")
    with pytest.raises(MethodUnusable, match="several"):
        plugged(["plugd"])


def test_a_method_that_cannot_be_made_says_why(packages: Path) -> None:
    install(packages, "ztfm_plug_f", "plugf", "broken")
    with pytest.raises(MethodUnusable, match="no chain is configured"):
        plugged(["plugf"])
    install(packages, "ztfm_plug_g", "plugg", "missing")
    with pytest.raises(MethodUnusable, match="plugg"):
        plugged(["plugg"])


def test_a_method_of_another_name_is_not_taken(packages: Path) -> None:
    install(packages, "ztfm_plug_h", "plugh", named="key")
    with pytest.raises(MethodUnusable, match="did:key"):
        plugged(["plugh"])
