from pathlib import Path

import pytest

from evaluation.trust.rows import Row
from evaluation.trust.table import cells, document, summary, write_between_marks
from tests.evaluation.trust.samples import CELL, CLEAN, guarded, unguarded, watched


def row(*, seed: int = 1, skew: float = 0.5, scenario: str = "backdoor", **found: object) -> Row:
    cell = CELL.model_copy(update={"seed": seed, "skew": skew, "scenario": scenario})
    clean = unguarded(CLEAN.model_copy(update={"seed": seed, "skew": skew}), accuracy=0.9, attack_success=0.0)
    return Row(clean, unguarded(cell), guarded(cell, **found))  # type: ignore[arg-type]


def lines(table: str) -> list[list[str]]:
    return [[part.strip() for part in line.strip("|").split("|")] for line in table.splitlines() if line[:1] == "|"]


def test_a_cells_misses_are_bold_and_nothing_else_is() -> None:
    text = cells([row(), row(seed=2, accuracy=0.7)])
    held, missed = lines(text)[2:]
    assert not any("**" in part for part in held)
    assert held[-1] == "yes"
    assert [part for part in missed if "**" in part] == ["**0.700**", "**no**"]


def test_every_cell_is_a_line_below_its_skew() -> None:
    text = cells([row(), row(seed=2), row(skew=0.1)])
    assert text.index("Dirichlet 0.5") < text.index("Dirichlet 0.1")
    assert len(lines(text)) == 2 + 2 + 2 + 1


def test_all_lines_of_a_table_have_as_many_cells_as_its_head() -> None:
    rows = [row(), row(scenario="none", sightings=[]), row(scenario="sign_flip", sightings=watched(caught_in=None))]
    for text in (cells(rows), summary(rows)):
        assert len({len(line) for line in lines(text)}) == 1


def test_a_summary_has_a_line_for_each_attack_with_means_and_the_slowest() -> None:
    text = summary([row(accuracy=0.88), row(seed=2, accuracy=0.9, sightings=watched(caught_in=5))])
    (line,) = lines(text)[2:]
    assert "means over 2 seeds" in text
    assert line[0] == "backdoor, boost 1"
    assert "0.890" in line
    assert "3 to 5" in line
    assert line[-1] == "0 of 2"


def test_an_attacker_that_was_never_quarantined_is_said() -> None:
    text = cells([row(sightings=watched(caught_in=None))])
    assert "**1 never**" in text
    assert "0 of 1" in text


def test_the_document_says_how_many_cells_hold() -> None:
    assert document([row(), row(seed=2, accuracy=0.5)]).startswith("Of 2 cells, 1 reached every bar.")


def test_only_what_is_between_the_marks_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "trust.md"
    path.write_text("# Trust\n\n<!-- figures -->\nold\n<!-- /figures -->\n\nafter\n")
    write_between_marks(path, "new")
    assert path.read_text() == "# Trust\n\n<!-- figures -->\nnew\n<!-- /figures -->\n\nafter\n"


@pytest.mark.parametrize("text", ["no marks", "<!-- figures -->", "<!-- /figures --> <!-- figures -->"])
def test_a_document_without_marks_is_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "trust.md"
    path.write_text(text)
    with pytest.raises(ValueError, match="has no"):
        write_between_marks(path, "new")
    assert path.read_text() == text
