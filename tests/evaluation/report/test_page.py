"""The report is one whole page that needs nothing else, and says where the system loses."""

import re
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from evaluation.comparison.catalogue import Catalogue
from evaluation.comparison.cells import Cell
from evaluation.comparison.federation import federate
from evaluation.comparison.results import Result
from evaluation.report.document import BLOCKS, NoMarks, markdown, write_blocks
from evaluation.report.page import render
from evaluation.report.plots import fronts, spots
from evaluation.report.tables import Table, comparable, defences, matrix, parts, tried
from evaluation.report.words import NOT_RUN, Findings
from tests.evaluation.comparison.tiny import Pulling, apart, averaging, cell
from tests.evaluation.comparison.tiny import catalogue as tiny
from tests.evaluation.markup import Balance

DOCUMENT = Path(__file__).parents[3] / "docs" / "evaluation.md"


def catalogue() -> Catalogue:
    known = tiny()
    return replace(known, defences={**known.defences, "ztfm": known.defences["apart"]})


@pytest.fixture(scope="module")
def found() -> Findings:
    results: dict[Cell, Result] = {}
    for attack in ("none", "push", "harmless"):
        for defence, opens in {"averaging": averaging, "ztfm": apart}.items():
            for seed in (0, 1):
                one = cell(attack, defence, seed)
                task = Pulling(one)
                results[one] = federate(one, task, opens(one, task), "r")
    return Findings.of(results, catalogue(), 20, "ztfm evaluate --quick")


@pytest.fixture(scope="module")
def page(found: Findings) -> str:
    return render(found)


def test_the_page_is_well_formed(page: str) -> None:
    balance = Balance()
    balance.feed(page)
    assert balance.opened == []


def test_nothing_is_fetched_from_anywhere(page: str) -> None:
    addresses = set(re.findall(r"https?://[^\"\s<]+", page))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert not re.findall(r"(?:src|href)=\"(?!#)", page)


def test_titles_cannot_become_markup(page: str) -> None:
    assert "sets apart &lt;b&gt;" in page
    assert "sets apart <b>" not in page


def test_every_cell_is_there_with_its_command(page: str, found: Findings) -> None:
    for row in found.rows:
        assert f'<td class="number">{row.to_json()["command"]}</td>' in page
    assert "12 of 20 cells were run. The same command runs the others." in page
    assert "runs the others" not in replace(found, wanted=12).counted
    assert page.rstrip().endswith("</html>")


def test_an_attack_that_does_no_harm_is_marked_and_in_no_mean(page: str, found: Findings) -> None:
    assert "does nothing (does no harm, does not count)" in page
    assert "push away (does" not in page
    assert {row.cell.attack for rows in comparable(found.summaries).values() for row in rows} == {"push"}


def test_means_are_over_attacks_that_all_defences_were_tried_against(found: Findings) -> None:
    fewer = [one for one in found.summaries if (one.cell.attack, one.cell.defence) != ("push", "ztfm")]
    assert set(comparable(fewer)) == {"averaging"}
    table = defences(found.summaries, found.catalogue)
    assert [line[0] for line in table.lines] == ["plain averaging", "sets apart <b>"]
    assert all(len(line) == len(table.heads) for line in table.lines)


def test_a_defence_that_met_few_attacks_does_not_narrow_what_the_others_are_held_against() -> None:
    known = catalogue()
    known = replace(known, defences={**known.defences, "late": known.defences["apart"]})
    results: dict[Cell, Result] = {}
    for attack, defence in (*product(("none", "push", "sleeper"), ("averaging", "ztfm")), ("push", "late")):
        one = cell(attack, defence)
        task = Pulling(one)
        opens = averaging if defence == "averaging" else apart
        results[one] = federate(one, task, opens(one, task), "r")
    summaries = Findings.of(results, known, 7, "").summaries
    widely, whole = parts(summaries)
    assert (set(comparable(widely)), tried(widely, known)) == ({"averaging", "ztfm"}, "push away; sleeps")
    assert (set(comparable(whole)), tried(whole, known)) == ({"averaging", "ztfm", "late"}, "push away")
    assert parts(widely) == [widely]


def test_how_much_of_a_core_federations_had_is_said(found: Findings) -> None:
    slow = {row.cell: row.result.model_copy(update={"cpu_seconds": 30.0, "wall_seconds": 120.0}) for row in found.rows}
    words = Findings.of(slow, found.catalogue, 12, "").cost
    assert "6 minutes of processor time and 24 on the wall clock" in words
    assert "each had 25% of a core" in words


def test_a_matrix_has_a_line_for_each_attack_and_a_column_for_each_defence(found: Findings) -> None:
    table = matrix(found.summaries, lambda row: row.result.accuracy, found.catalogue)
    assert list(table.heads) == ["attack", "plain averaging", "sets apart <b>"]
    assert [len(line) for line in table.lines] == [3, 3, 3]
    assert "±" in table.lines[0][1]


def test_who_met_no_attack_has_no_column_of_its_own(found: Findings) -> None:
    fewer = [one for one in found.summaries if one.cell.is_clean or one.cell.defence != "ztfm"]
    table = matrix(fewer, lambda row: row.result.accuracy, found.catalogue)
    assert list(table.heads) == ["attack", "plain averaging"]


def test_the_trade_off_has_whoever_loses_least_on_its_front(found: Findings) -> None:
    placed = spots(found.summaries)
    two, three = fronts(placed)
    assert placed["ztfm"].lost < placed["averaging"].lost
    assert two == {"ztfm"}
    assert two <= three


def test_misses_are_named_and_where_there_are_none_that_is_said(found: Findings, page: str) -> None:
    assert not found.misses
    assert "None of those that were run." in page
    worse = {
        row.cell: row.result.model_copy(update={"accuracy": 0.5}) if row.cell.defence == "ztfm" else row.result
        for row in found.rows
    }
    missed = render(Findings.of(worse, found.catalogue, 20, ""))
    assert "None of those that were run." not in missed
    assert "points lost at most 1" in missed


def test_blocks_between_marks_are_written_and_the_rest_stays(found: Findings, tmp_path: Path) -> None:
    file = tmp_path / "evaluation.md"
    file.write_text(DOCUMENT.read_text())
    write_blocks(file, found)
    written = file.read_text()
    assert "12 of 20 cells were run" in written
    assert strip(written) == strip(DOCUMENT.read_text())
    once = written
    write_blocks(file, found)
    assert file.read_text() == once


def test_without_results_every_block_says_so(tmp_path: Path) -> None:
    file = tmp_path / "evaluation.md"
    file.write_text(DOCUMENT.read_text())
    write_blocks(file, Findings.of({}, catalogue(), 20, "ztfm evaluate"))
    assert file.read_text().count(NOT_RUN) == len(BLOCKS)
    assert NOT_RUN in render(Findings.of({}, catalogue(), 20, "ztfm evaluate"))


def test_a_document_that_lacks_a_mark_is_not_written(found: Findings, tmp_path: Path) -> None:
    file = tmp_path / "evaluation.md"
    text = DOCUMENT.read_text().replace("<!-- /costs -->", "")
    file.write_text(text)
    with pytest.raises(NoMarks, match="<!-- costs -->"):
        write_blocks(file, found)
    assert file.read_text() == text


def test_a_bar_in_a_word_is_no_column() -> None:
    assert markdown(Table(("a",), [("b|c",)])) == "| a |\n| --- |\n| b\\|c |"


def strip(text: str) -> str:
    """The document without what is between marks."""
    return re.sub(r"(<!-- (\w+) -->).*?(<!-- /\2 -->)", r"\1\3", text, flags=re.DOTALL)
