"""Adversarial training stands in the report as its own page has it."""

from pathlib import Path

from evaluation.report.hardening import COLUMNS, LINES, PAGE, hardening

HEADS = " | ".join(("trained against", *COLUMNS))

TABLE = f"""
```sh
.venv/bin/python -m evaluation.adversarial --document docs/evaluation-adversarial.md    # all
```

<!-- adversarial -->
| {HEADS} |
|---|---|---|---|---|---|
| nothing | 0.9 | 0.5 | 0.1 | 10.0 | 1.00 |
| a radius of 0.15 | 0.9 | 0.6 | 0.2 | 11.0 | 1.10 |
| a radius of 0.3 | 0.8 | 0.7 | 0.3 | 12.0 | 1.20 |
<!-- /adversarial -->
"""


def test_every_line_of_the_page_is_read_with_its_command(tmp_path: Path) -> None:
    (tmp_path / PAGE).write_text(TABLE)
    read = hardening(tmp_path)
    assert read is not None
    table, command = read
    assert [line[0] for line in table.lines] == list(LINES)
    assert table.lines[2] == ("a radius of 0.3", "0.8", "0.7", "0.3", "12.0", "1.20")
    assert len(table.heads) == 6
    assert command == "python -m evaluation.adversarial --document docs/evaluation-adversarial.md"


def test_what_was_not_run_is_not_there(tmp_path: Path) -> None:
    assert hardening(tmp_path) is None
    (tmp_path / PAGE).write_text(TABLE.replace("a radius of 0.3", "a radius of 0.4"))
    assert hardening(tmp_path) is None


def test_the_page_that_there_is_can_be_read() -> None:
    assert hardening() is not None
