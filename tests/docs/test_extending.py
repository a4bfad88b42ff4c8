"""What docs/extending.md lists is all that there is, and each place has every one of its kind."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from controlplane.behavior.patterns import PATTERNS
from controlplane.behavior.scores import MEASURES
from controlplane.contracts.access import ACTIONS
from controlplane.contracts.evidence import UpdateEvidence

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "extending.md").read_text()
PRODUCT = ("adapters", "controlplane", "evaluation", "monitoring", "policies")
SUFFIXES = {".py", ".rego", ".json"}
WRITTEN = {"controlplane/contracts/examples.json", "evaluation/coverage/things.py"} | {
    f"policies/data/{name}/data.json" for name in ("roles", "segmentation", "segments")
}
"""Examples of the API, what is said of the paper, and data that schemas speak of: what they lack is a choice."""


def section(title: str) -> str:
    return PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]


def places(title: str) -> list[str]:
    return re.findall(r"^\| `([^`]+/[^`]+)` \|", section(title), re.MULTILINE)


def names(path: Path) -> set[str]:
    return {action for action in ACTIONS if re.search(rf"\b{action}\b", path.read_text())}


def sources() -> Iterator[str]:
    for folder in PRODUCT:
        for path in (ROOT / folder).rglob("*"):
            if path.suffix not in SUFFIXES or "examples" in path.parts or path.stem.endswith("_test"):
                continue
            if path.is_file() and not {"input", "dashboards", "__pycache__", "compiled"} & set(path.parts):
                yield path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("place", places("An action"))
def test_every_action_is_in_each_place(place: str) -> None:
    if "<action>" in place:
        assert [action for action in ACTIONS if not (ROOT / place.replace("<action>", action)).is_file()] == []
    else:
        assert set(ACTIONS) - names(ROOT / place) == set(), (
            f"{place} lacks an action; docs/extending.md says what is due"
        )


def test_no_other_file_of_the_product_names_all_actions() -> None:
    quoted = [re.compile(rf"""["'.`]{action}\b""") for action in ACTIONS]
    found = {name for name in sources() if all(one.search((ROOT / name).read_text()) for one in quoted)}
    unlisted = found - set(places("An action")) - WRITTEN
    assert unlisted == set(), "derive it from ACTIONS of contracts.access, or list it in docs/extending.md"


def test_every_measurement_is_judged_bounded_or_said_to_be_neither() -> None:
    judged = {measure.name for measure in MEASURES}
    rules = "".join(path.read_text() for path in (ROOT / "policies/ztfm/lib/evidence").glob("*.rego"))
    bounded = set(re.findall(r"\bevidence\.([a-z_]+)", rules))
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", section("A measurement of updates"), re.MULTILINE)
    neither = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    fields = set(UpdateEvidence.model_fields)
    assert fields - judged - bounded - neither == set(), (
        "judge it in behavior/scores.py, or say in docs/extending.md why not"
    )
    assert neither <= fields - judged - bounded
    assert judged <= fields


def test_whatever_is_judged_speaks_for_some_attack() -> None:
    moved = {name for pattern in PATTERNS for name in pattern.moves}
    assert {measure.name for measure in MEASURES} - moved == set()


def test_what_is_listed_is_there() -> None:
    for place in (*places("A measurement of updates"), *places("A backend")):
        if "<name>" not in place:
            assert (ROOT / place).exists(), place


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "tests/backends/requirements").glob("*.txt")))
def test_a_shipped_backend_is_in_each_place(name: str) -> None:
    for place in places("A backend"):
        if "<name>" in place:
            assert (ROOT / place.replace("<name>", name)).exists(), place
        else:
            assert f"adapters.{name}" in (ROOT / place).read_text(), place
