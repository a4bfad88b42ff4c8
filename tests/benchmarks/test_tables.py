"""Tables say what results say: every bar beside its figure; what is not at hand stays as it was."""

from pathlib import Path

import pytest

from benchmarks import documented
from benchmarks.described import Benchmark, Figure
from benchmarks.registry import chosen
from benchmarks.results import Result, at_hand, number_at, write
from benchmarks.tables import between, number, overview, terminal

PAGE = Path(__file__).resolve().parents[2] / "docs" / "performance.md"
FAST = Benchmark("fast", "benchmarks.fast", (Figure("speed", "its speed", at_least=10.0), Figure("size", "its size")))
CHEAP = Benchmark("cheap", "benchmarks.cheap", (Figure("cost.most", "its cost", at_most=2.0),))
TABLE = "before\n<!-- t -->\n| name | value |\n|---|---|\n| one | 1 |\n| by hand | 2 |\n<!-- /t -->\nafter"


def _result(name: str, *found: dict[str, object], command: str = "", quick: bool = False, load: float = 0.0) -> Result:
    return Result(
        name, "measured", "", command, quick, "2026-01-01T00:00:00+00:00", 1.0, load, 0.0, {"cpus": 2}, {}, found
    )


def test_each_bar_stands_beside_the_median_of_what_was_measured() -> None:
    fast = _result("fast", *({"speed": speed, "size": 4} for speed in (30, 9, 12)))
    cheap = _result("cheap", {"cost": {"most": 2.5}}, load=7.5)
    rows = overview({"fast": fast, "cheap": cheap}, (FAST, CHEAP))
    assert [row[:4] for row in rows] == [
        ("its speed", "at least 10", "12", "met"),
        ("its cost", "at most 2", "2.5", "**missed**, load 7.5 before it"),
    ]
    assert rows[1][4] == "`.venv/bin/python -m benchmarks.cheap --json`"
    assert overview({}, (CHEAP,))[0][2:4] == ("", "not measured")


def test_the_terminal_names_what_was_not_measured_and_why() -> None:
    failed = Result("cheap", "failed", "first\nit ended with 1", "", False, "", 1.0, 0.0, 0.0)
    lines = terminal([failed], (CHEAP, FAST)).splitlines()
    assert lines[1].split() == ["cheap", "it", "ended", "with", "1", "failed"]
    assert lines[2].split() == ["fast", "it", "was", "not", "run", "missing"]


def test_rows_at_hand_are_written_anew_and_all_others_stay() -> None:
    header = ("name", "value")
    assert between(TABLE, "t", header, []) == TABLE
    new = between(TABLE, "t", header, [("one", "9"), ("two", "3")])
    assert new == TABLE.replace("| one | 1 |", "| one | 9 |").replace("| by hand | 2 |", "| by hand | 2 |\n| two | 3 |")
    assert between(new, "t", header, [("one", "9"), ("two", "3")]) == new
    whole = between(TABLE, "t", header, [], [("none yet", ""), ("one", "")])
    assert whole.splitlines()[4:6] == ["| none yet |  |", "| one | 1 |"]
    assert "by hand" not in whole
    with pytest.raises(ValueError, match="no <!-- u -->"):
        between(TABLE, "u", header, [("one", "9")])


def test_only_full_results_of_the_command_of_today_are_at_hand(tmp_path: Path) -> None:
    def hand(result: Result) -> bool:
        write(result, tmp_path)
        return "fast" in at_hand([FAST], tmp_path)

    found = {"speed": 1, "size": 2}
    assert hand(_result("fast", found, command=FAST.shown()))
    assert not hand(_result("fast", found, command=FAST.shown(), quick=True))
    assert not hand(_result("fast", found, command="another"))
    assert not hand(_result("fast", {"speed": 1}, command=FAST.shown()))
    assert not hand(Result("fast", "failed", "", FAST.shown(), False, "", 1.0, 0.0, 0.0))
    (tmp_path / "fast.json").write_text("{")
    assert at_hand([FAST], tmp_path) == {}


def test_a_path_leads_to_one_number_or_to_the_median_of_several() -> None:
    found = {"runs": [{"a": 3}, {"a": 1}, {"a": 2}], "flag": True, "text": "1"}
    assert number_at(found, "runs.*.a") == 2.0
    assert number_at(found, "runs.1.a") == 1.0
    for path in ("runs.3.a", "runs.*.b", "flag", "text", "none", "runs"):
        with pytest.raises(KeyError):
            number_at(found, path)


@pytest.mark.parametrize(("value", "shown"), [(0.0, "0"), (0.04321, "0.0432"), (1.25, "1.25"), (20_800.4, "20,800")])
def test_numbers_have_the_digits_that_count(value: float, shown: str) -> None:
    assert number(value) == shown


def test_the_page_has_every_table_and_stays_as_it_is_without_results(tmp_path: Path) -> None:
    copy = tmp_path / "performance.md"
    copy.write_text(PAGE.read_text())
    assert documented.write(copy, tmp_path / "none") == []
    assert copy.read_text() == PAGE.read_text()


def test_the_page_takes_over_what_was_measured(tmp_path: Path) -> None:
    copy = tmp_path / "performance.md"
    copy.write_text(PAGE.read_text())
    [capabilities] = chosen(["capabilities"])
    names = [*documented.CAPABILITIES, "mint_us"]
    write(_result("capabilities", dict.fromkeys(names, 251.4), command=capabilities.shown()), tmp_path)
    assert documented.write(copy, tmp_path) == ["overview", "capabilities"]
    text = copy.read_text()
    assert "| minting, one ES256 signature (`mint_us`) | 251 |" in text
    bar = capabilities.figures[0]
    assert f"| {bar.what} | at most 250 | 251 | **missed** | `{capabilities.shown()}` |" in text
    changed = [line for line in text.splitlines() if line not in PAGE.read_text().splitlines()]
    assert all("251" in line for line in changed)


def test_every_table_can_be_written_from_what_its_benchmark_prints() -> None:
    sides = {"rps": 1.0, "p99_ms": 2.0, "cpu_us": 3.0}
    decided = {"ratio_rps": 0.5, "ratio_p99": 0.3, "runs": [{"control_plane": sides, "raw_opa": sides}]}
    peer = {"rps": 1.0, "p50_ms": 2.0, "p99_ms": 3.0, "resident_mib": 4.0, "cpu_us": 5.0}
    shown = [
        {"name": "opa", "title": "raw OPA", "status": "measured", "reason": ""},
        {"name": "topaz", "title": "Topaz", "status": "not measured", "reason": "it does not build"},
    ]
    point = {"size": 100_000, "p50_ms": 1.0, "cpu_us": 2.0, "resident_mib": 3.0}
    grown = {axis: {"curve": [point]} for axis in ("devices", "exceptions", "policies")}
    measured = {
        "decisions": _result("decisions", decided),
        "peers": _result("peers", {"opa": peer, "table": shown}),
        "growth": _result("growth", grown),
    }
    rows = {name: make(measured) for name, (_, make) in documented.TABLES.items() if name != "overview"}
    assert rows["decisions"][0][1:] == ("0.50", "0.30", "1 and 1", "2 and 2", "3 and 3")
    assert rows["peers"] == [
        ("raw OPA", "1", "2", "3", "4", "5"),
        ("Topaz", "not measured: it does not build", *[""] * 4),
    ]
    assert rows["growth"][0] == ("100,000 devices", "1", "2", "3")
    for name, made in rows.items():
        assert {len(row) for row in made} <= {len(documented.TABLES[name][0])}
