"""Whatever a row names is there, and the page says what the pages that it reads from say."""

import importlib.util
import json
from pathlib import Path

import pytest

from evaluation.coverage.__main__ import main
from evaluation.coverage.document import document
from evaluation.coverage.figures import DOCS, Figure, NoSuchFigure, find
from evaluation.coverage.thing import Thing
from evaluation.coverage.things import PARTS
from tests.docs.test_documents import anchors

ROOT = DOCS.parent
THINGS = [thing for things in PARTS.values() for thing in things]
NAMED = {
    "Continuous verification",
    "Least privilege",
    "Data confidentiality",
    "Behavioural analytics",
    "Federated learning",
    "Ledger identity",
    "Micro-segmentation",
    "Trusted execution environments",
    "Anomaly detection",
    "Adversarial training",
    "Secure aggregation",
    "Scalability",
    "Secure orchestration",
    "Interpretable threat attribution",
    "Dynamic trust calibration",
}


def test_each_thing_that_the_paper_names_has_one_row() -> None:
    assert sorted(thing.name for thing in THINGS) == sorted(NAMED)


def test_the_page_is_up_to_date() -> None:
    written = (DOCS / "ztfm-coverage.md").read_text()
    assert written == document(PARTS), "run: python -m evaluation.coverage --document docs/ztfm-coverage.md"


@pytest.mark.parametrize("thing", THINGS, ids=lambda thing: thing.name)
def test_tests_pages_and_policies_of_a_row_exist(thing: Thing) -> None:
    assert thing.tests and thing.pages
    assert [path for path in thing.tests if "def test_" not in (ROOT / path).read_text()] == []
    for page in thing.pages:
        name, _, anchor = page.partition("#")
        assert not anchor or anchor in anchors(DOCS / name), page
        assert (DOCS / name).is_file(), page
    for package in thing.policies:
        said = "".join(path.read_text() for path in (ROOT / "policies" / "ztfm" / package).glob("*.rego"))
        assert f"\npackage ztfm.{package}\n" in said


@pytest.mark.parametrize("thing", THINGS, ids=lambda thing: thing.name)
def test_a_figure_is_measured_by_a_module_that_can_be_run(thing: Thing) -> None:
    for figure in (*thing.cost, *thing.gain):
        words = find(figure).command.split()
        assert words[:2] == ["python", "-m"], figure
        spec = importlib.util.find_spec(words[2])
        assert spec is not None, figure
        main_module = f"{words[2]}.__main__" if spec.submodule_search_locations else words[2]
        assert importlib.util.find_spec(main_module) is not None, figure


PAGE = """# A page

```sh
python -m benchmarks.first --json     # what it does
```

<!-- here -->
| what | ms |
|---|---|
| first | 1 |
| first again | 2 |
<!-- /here -->

By `python -m benchmarks.second`:

| | |
|---|---|
| it | 3 |
"""


def test_a_figure_is_the_cell_and_the_nearest_command_before_it(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(PAGE)
    first = find(Figure("a", "page.md", "<!-- here -->", "first | ", "ms"), tmp_path)
    second = find(Figure("b", "page.md", "By", "it", 1), tmp_path)
    assert (first.value, first.command) == ("1", "python -m benchmarks.first --json")
    assert (second.value, second.command) == ("3", "python -m benchmarks.second")


@pytest.mark.parametrize(
    ("under", "row", "column", "said"),
    [
        ("<!-- gone -->", "first | ", "ms", "no table"),
        ("<!-- here -->", "first", "ms", "2 rows"),
        ("<!-- here -->", "third", "ms", "0 rows"),
        ("<!-- here -->", "first | ", "s", "no one column"),
    ],
)
def test_a_figure_that_is_not_there_is_named(tmp_path: Path, under: str, row: str, column: str, said: str) -> None:
    (tmp_path / "page.md").write_text(PAGE)
    with pytest.raises(NoSuchFigure, match=said):
        find(Figure("a figure", "page.md", under, row, column), tmp_path)


def test_the_command_tells_rows_with_their_figures(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["things"]
    assert {row["name"] for row in rows} == NAMED
    assert all(figure["command"] for row in rows for figure in (*row["cost"], *row["gain"]))
