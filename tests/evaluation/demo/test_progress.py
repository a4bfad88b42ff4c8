import io

from rich.console import Console

from evaluation.demo.plain_lines import PlainLines
from evaluation.demo.terminal import Terminal
from evaluation.federation.devices import Worth
from tests.evaluation.demo.sample import attesting, outcome


def test_plain_lines_tell_every_round_and_the_end() -> None:
    to = io.StringIO()
    lines = PlainLines(to)
    lines.stage("something begins")
    lines.worth("clean", 1, Worth(0.5, 0.25))
    lines.guarded_round(outcome().figures[0])
    lines.closing(outcome())
    text = to.getvalue()
    assert "clean round 1: accuracy 0.500, attack success 0.250" in text
    assert "2 accepted, 1 refused, quarantined: home-02" in text
    assert "attackers quarantined: 1 of 1; honest devices quarantined: 0" in text
    assert "attested" not in text
    lines.closing(attesting())
    assert "attested by TPMs in software: 1 of 2; refused: home-02 (measurements.pcr15)" in to.getvalue()


def test_a_terminal_shows_tables_at_the_end() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=160, color_system=None)
    with Terminal(console, 2) as terminal:
        terminal.stage("something begins")
        terminal.worth("guarded", 1, Worth(0.5, 0.25))
        terminal.guarded_round(outcome().figures[0])
        terminal.closing(outcome())
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "attested" not in text
    with Terminal(console, 2) as terminal:
        terminal.closing(attesting())
    assert "home-02 (measurements.pcr15)" in console.file.getvalue()  # type: ignore[attr-defined]
    for word in ("quarantined in round 1", "home-02", "label only", "denied: update_bounded", "PASSED", "abc.def"):
        assert word in text
