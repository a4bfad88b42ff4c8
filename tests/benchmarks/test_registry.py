"""Every benchmark is in the registry, and its bars are those that the benchmarks and the documents know."""

import importlib.util
import re
from pathlib import Path

import pytest

import benchmarks
from benchmarks import capabilities, large, screening, segments
from benchmarks.described import Benchmark, Figure
from benchmarks.gateway import __main__ as gateway
from benchmarks.growth import __main__ as growth
from benchmarks.registry import BENCHMARKS, CALCULATIONS, chosen
from benchmarks.rounds import figures

FOLDER = Path(benchmarks.__file__).parent
ROOT = FOLDER.parent


def _with_a_main() -> set[str]:
    """The modules that somebody can run, but for the one that runs all."""
    modules = {path.stem for path in FOLDER.glob("*.py") if '__name__ == "__main__"' in path.read_text()}
    packages = {path.parent.name for path in FOLDER.glob("*/__main__.py")}
    return {f"benchmarks.{name}" for name in (modules | packages) - {"__main__"}}


def test_every_module_with_a_main_is_in_the_registry() -> None:
    assert {one.module for one in BENCHMARKS} | set(CALCULATIONS) == _with_a_main()
    assert len({one.name for one in BENCHMARKS}) == len(BENCHMARKS)


def test_what_is_a_part_of_another_is_run_by_it() -> None:
    parts = {one.name: one.within for one in BENCHMARKS if one.within}
    assert set(parts.values()) <= {one.name for one in BENCHMARKS}
    assert not {one.name for one in chosen([])} & parts.keys()


@pytest.mark.parametrize("benchmark_", BENCHMARKS, ids=lambda one: one.name)
def test_every_option_of_a_command_is_one_of_the_module(benchmark_: Benchmark) -> None:
    found = importlib.util.find_spec(benchmark_.module)
    assert found is not None and found.origin is not None
    path = Path(found.origin)
    source = (path.with_name("__main__.py") if path.name == "__init__.py" else path).read_text()
    options = {word for word in (*benchmark_.arguments, *benchmark_.quick, "--json") if word.startswith("--")}
    assert options <= set(re.findall(r'"(--[a-z-]+)"', source))


def test_a_bar_is_the_one_that_the_benchmark_itself_knows() -> None:
    bars = {(one.name, figure.path): (figure.at_most, figure.at_least) for one in BENCHMARKS for figure in one.figures}
    assert bars["capabilities", "verify_us"] == (capabilities.BAR_US, None)
    assert bars["gateway", "added_p50_ms"] == (gateway.BAR_MS, None)
    assert bars["rounds", "overhead_ratio"] == (figures.BAR, None)
    assert bars["rounds-long", "overhead_ratio"] == (figures.BAR, None)
    assert bars["large", "memory_ratio"] == (large.BAR, None)
    assert bars["screening", "ratio_fastest_peer"] == (None, screening.BAR)
    assert bars["segments", "apply_fastest_seconds"] == (segments.BOUND_SECONDS, None)
    assert {bars["growth", f"{axis}.ratio"] for axis in growth.AXES} == {(growth.FLAT, None)}


def test_a_verdict_takes_the_side_of_the_bar() -> None:
    less, more = Figure("a", "", at_most=2.0), Figure("a", "", at_least=2.0)
    assert [less.verdict(value) for value in (1.0, 2.0, 2.1)] == ["met", "met", "missed"]
    assert [more.verdict(value) for value in (1.9, 2.0, 3.0)] == ["missed", "met", "met"]
    assert Figure("a", "").verdict(1.0) == ""


def test_benchmarks_are_picked_by_name_and_by_pattern() -> None:
    assert [one.name for one in chosen(["gateway", "decisions"])] == ["decisions", "gateway"]
    assert {one.module for one in chosen(["decisions*"])} == {"benchmarks.decisions"}
    assert len(chosen(["decisions*"])) > 1
    with pytest.raises(KeyError, match="there is no benchmark 'decision'"):
        chosen(["decision"])


def test_the_page_shows_every_bar_and_its_command() -> None:
    page = (ROOT / "docs" / "performance.md").read_text()
    table = page.partition("<!-- overview -->")[2].partition("<!-- /overview -->")[0]
    for one in BENCHMARKS:
        for figure in one.figures:
            if figure.is_promised:
                [row] = [line for line in table.splitlines() if line.startswith(f"| {figure.what} |")]
                assert f"| {figure.bar} |" in row
                assert f"`{one.shown()}`" in row
