"""The page on faults names tests, alerts and options that there are."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "faults.md").read_text()
RULES = sorted((ROOT / "monitoring" / "prometheus" / "rules").glob("*.yml"))


def test_every_row_names_a_test_that_there_is() -> None:
    rows = [line for line in PAGE.partition("## What is tried")[2].partition("\n## ")[0].splitlines() if "|" in line]
    for row in rows[2:]:
        named = re.findall(r"`(tests/\S+\.py)`", row)
        assert named, row
        assert [path for path in named if not (ROOT / path).is_file()] == []


def test_every_alert_that_it_names_is_one() -> None:
    groups = [group for path in RULES for group in yaml.safe_load(path.read_text())["groups"]]
    alerts = {rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule}
    assert set(re.findall(r"\bZtfm[A-Z]\w+", PAGE)) <= alerts


def test_every_option_of_the_tests_is_read_by_one_of_them() -> None:
    read = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py") if path != Path(__file__))
    for option in re.findall(r"`(ZTFM_\w+)=\d+`", PAGE):
        assert f'"{option}"' in read, option
