"""docs/architecture.md tells two walks through the code: each room that it names is there, and is entered once."""

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
WALKS = {"request": "## One request's way", "update": "## One update's way"}
_MODULE = re.compile(r"`((?:controlplane|adapters)(?:\.\w+)+)`")
_PACKAGE = re.compile(r"`ztfm\.(\w+)`")


def walk(name: str) -> str:
    return PAGE.partition(WALKS[name])[2].partition("\n## ")[0]


def exists(module: str) -> bool:
    path = ROOT.joinpath(*module.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


@pytest.mark.parametrize("name", WALKS)
def test_every_module_of_a_walk_exists_and_is_entered_once(name: str) -> None:
    entered = Counter(_MODULE.findall(walk(name)))
    assert [module for module in entered if not exists(module)] == []
    assert [module for module, times in entered.items() if times > 1] == []
    assert len(entered) >= 15


@pytest.mark.parametrize("name", WALKS)
def test_every_policy_of_a_walk_exists(name: str) -> None:
    named = set(_PACKAGE.findall(walk(name)))
    assert named
    assert [package for package in sorted(named) if not (ROOT / "policies" / "ztfm" / package).is_dir()] == []


@pytest.mark.parametrize("name", WALKS)
def test_the_steps_of_a_walk_are_numbered_without_a_gap(name: str) -> None:
    numbers = [int(number) for number in re.findall(r"^(\d+)\. ", walk(name), re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= 10


def test_the_picture_shows_where_the_walks_lead() -> None:
    assert "(architecture.svg)" in PAGE
    picture = (ROOT / "docs" / "architecture.svg").read_text()
    rooms = {
        module.split(".")[1] for name in WALKS for module in _MODULE.findall(walk(name)) if "controlplane" in module
    }
    shown = set(re.findall(r">(\w+)</text>", picture))
    assert rooms - {"contracts"} <= shown


def test_a_room_that_is_gone_would_be_found() -> None:
    assert exists("controlplane.api.listening")
    assert not exists("controlplane.api.gone")
