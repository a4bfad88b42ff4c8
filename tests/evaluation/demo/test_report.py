import re
from dataclasses import replace
from pathlib import Path

import pytest

from evaluation.demo.report import render, write_report
from tests.evaluation.demo.sample import attesting, outcome
from tests.evaluation.markup import Balance


@pytest.fixture(scope="module")
def page() -> str:
    return render(outcome())


def test_the_page_is_well_formed(page: str) -> None:
    balance = Balance()
    balance.feed(page)
    assert balance.opened == []


def test_nothing_is_fetched_from_anywhere(page: str) -> None:
    addresses = set(re.findall(r"https?://[^\"\s<]+", page))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert not re.findall(r"(?:src|href)=\"(?!#)", page)
    assert "url(http" not in page


def test_what_callers_wrote_cannot_become_markup(page: str) -> None:
    assert "stop &lt;b&gt;" in page
    assert "&lt;far&gt;" in page


def test_light_and_dark_are_both_served(page: str) -> None:
    assert "prefers-color-scheme: dark" in page
    assert "currentColor" in page
    assert "#010203" not in page


def test_an_attack_that_passed_is_said_aloud(page: str) -> None:
    assert "<td>expired</td><td>NO</td>" in page


def test_a_device_that_was_denied_is_shown_with_what_its_verdict_said(page: str) -> None:
    assert page.count("This looks &lt;much&gt; too long.") == 1


def test_of_several_verdicts_the_one_that_quarantined_is_shown() -> None:
    found = outcome()
    early, late = (
        replace(found.sightings[2], turn=turn, sentence=sentence) for turn, sentence in ((1, "First."), (2, "Then."))
    )
    found.sightings = [early, late, replace(late, turn=3, sentence="Accepted.", accepted=True)]
    assert "First." in render(found)
    assert "Then." not in render(found)
    found.caught = {}
    assert "Then." in render(found)
    assert "Accepted." not in render(found)


def test_the_same_outcome_gives_the_same_page(page: str) -> None:
    assert render(outcome()) == page


def test_folders_are_made_as_needed(tmp_path: Path) -> None:
    write_report(outcome(), tmp_path / "a" / "b.html")
    assert (tmp_path / "a" / "b.html").read_text().startswith("<!doctype html>")


def test_what_homes_proved_is_shown_where_they_were_asked(page: str) -> None:
    assert "Attestation" not in page
    shown = render(attesting())
    balance = Balance()
    balance.feed(shown)
    assert balance.opened == []
    for word in ("<h2>Attestation</h2>", "measurements.pcr15", "software-tpm", "--attest tpm"):
        assert word in shown
