"""Dates and lengths of time as people write them."""

import pytest

from controlplane.cli.moments import date, length


@pytest.mark.parametrize(("text", "seconds"), [("0s", 0.0), ("90m", 5400.0), ("24h", 86_400.0), ("7d", 604_800.0)])
def test_a_length_is_a_number_with_its_unit(text: str, seconds: float) -> None:
    assert length(text) == seconds


@pytest.mark.parametrize("text", ["", "7", "d", "-1d", "1.5h", "7 d", "1w", "9999999d", "1d1h"])
def test_what_is_no_length_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="length of time"):
        length(text)


def test_a_date_is_utc_unless_it_says_otherwise() -> None:
    assert date("1970-01-02") == date("1970-01-02T00:00Z") == date("1970-01-02T01:00+01:00") == 86_400.0


@pytest.mark.parametrize("text", ["", "tomorrow", "7d", "2026-13-01", "1", "2026-12-01T25:00Z"])
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no date"):
        date(text)
