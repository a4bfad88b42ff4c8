"""The page on threats names tests that there are, and every arrow of the picture."""

import ast
import re
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "threat-model.md").read_text()
_CITED = re.compile(r"`([^`\s]+\.py)::([^`\s]+)`")
_SVG = "{http://www.w3.org/2000/svg}"


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the table below a heading, without its first two lines."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@cache
def named_in(path: Path) -> frozenset[str]:
    found = ast.walk(ast.parse(path.read_text()))
    return frozenset(one.name for one in found if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef))


def arrows() -> list[str]:
    """Return the words beside each arrow of the picture, in its order; empty for one without."""
    found: list[str] = []
    is_beside = False
    for element in ElementTree.parse(ROOT / "docs" / "architecture.svg").getroot():
        kind = element.get("class")
        if kind == "a" and element.tag in (f"{_SVG}line", f"{_SVG}path"):
            found.append("")
        elif kind == "l" and is_beside:
            found[-1] = f"{found[-1]} {element.text}".strip()
        is_beside = kind in ("a", "l")
    return found


@pytest.mark.parametrize(("file", "name"), sorted(set(_CITED.findall(PAGE))))
def test_each_test_that_is_named_is_there(file: str, name: str) -> None:
    path = ROOT / "tests" / file
    assert path.is_file()
    assert name.startswith("test_")
    assert name in named_in(path)


def test_each_arrow_of_the_picture_has_its_row() -> None:
    drawn, told = sorted(arrows()), sorted(row[1] for row in rows("Arrow by arrow"))
    assert len(drawn) == 14
    assert [words for words in drawn if words] == [words for words in told if "without words" not in words]
    assert len(told) == len(drawn)
    assert [row[0] for row in rows("Arrow by arrow")] == [str(number + 1) for number in range(len(drawn))]


@pytest.mark.parametrize(
    ("heading", "least"),
    [("Arrow by arrow", 14), ("The seven tenets of NIST SP 800-207", 7), ("Who turns out to be hostile", 9)],
)
def test_each_row_is_tried(heading: str, least: int) -> None:
    found = rows(heading)
    assert len(found) >= least
    assert {len(row) for row in found} == {len(found[0])}
    for row in found:
        assert _CITED.search(row[-1]), row[0]


def test_each_letter_of_stride_is_somewhere() -> None:
    told = " ".join(row[2] for row in rows("Arrow by arrow"))
    assert set(re.findall(r"\b([STRIDE])(?=[:,])", told)) == set("STRIDE")


@pytest.mark.parametrize("name", ["SECURITY.md", "docs/security.md"])
def test_who_reads_of_security_is_led_here(name: str) -> None:
    assert "threat-model.md)" in (ROOT / name).read_text()
