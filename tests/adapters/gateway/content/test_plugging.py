"""Classifiers by name: what ships, what another package brings, and what is refused before anything is served."""

import sys
from pathlib import Path

import pytest

from adapters.gateway.content import ClassifierUnusable, Rules, load_classifiers
from adapters.gateway.content.plugging import GROUP

MODULE = """
from adapters.gateway.content import Found, Place

def opened():
    return lambda direction, text: Found(0.25, [Place(0, 1, "personal", "initial")])

def broken():
    raise RuntimeError("no weights at /models/secret")

def nothing():
    return None

def missing():
    import a_library_that_nobody_has
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package that brings classifiers."""
    (tmp_path / "brought_classifiers.py").write_text(MODULE)
    for number in (1, 2):
        info = tmp_path / f"brought{number}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: brought{number}\nVersion: 1.0\n")
        names = ("opened", "broken", "nothing", "missing", "rules", "twice") if number == 1 else ("twice",)
        found = {"twice": "opened", "rules": "opened"}
        lines = [f"{name} = brought_classifiers:{found.get(name, name)}" for name in names]
        (info / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines, ""]))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "brought_classifiers", raising=False)
    return tmp_path


def test_the_rules_ship() -> None:
    [found] = load_classifiers()
    assert isinstance(found, Rules)


def test_a_package_brings_one_beside_them(package: Path) -> None:
    rules, brought = load_classifiers(["rules", "opened"])
    assert isinstance(rules, Rules)
    assert brought("prompt", "Ada").injection == 0.25


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], "at least one"),
        (["rules", "rules"], "each once"),
        (["unheard-of"], "no installed package"),
        (["twice"], "several packages"),
        (["broken"], "cannot be opened: RuntimeError"),
        (["nothing"], "is no classifier"),
        (["missing"], "a_library_that_nobody_has"),
    ],
)
def test_what_cannot_be_used_is_said_at_the_start(package: Path, names: list[str], said: str) -> None:
    with pytest.raises(ClassifierUnusable, match=said) as raised:
        load_classifiers(names)
    assert "/models/secret" not in str(raised.value)
