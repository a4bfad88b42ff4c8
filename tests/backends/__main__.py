"""Try every backend that has a folder here, one after the other: its environment, its tests, and how long they took.

    python -m tests.backends            # all of them
    python -m tests.backends nvflare    # this one

A backend is a folder with tests, `tests/backends/<name>`, and what its environment has,
`tests/backends/requirements/<name>.txt`. Its tests run in the main environment; those in its folder `inside` run by
the interpreter of its own. One that fails does not keep the next from being tried. Exits with 0 when all held, with 1
when one did not, with 130 when interrupted.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from xml.etree import ElementTree

from tests.backends import environments
from tests.backends.running import adopt, end_all, left, run

HERE = Path(__file__).parent
MARK = "backends"

_SHOULD_TAKE_SECONDS = 180.0
_MAY_TAKE_SECONDS = 900.0
_SHOWN = 8
"""Of the slowest parts of tests, so that it shows where time goes."""

Make = Callable[[str], Path]


@dataclass(frozen=True)
class Outcome:
    """What became of a backend.

    Attributes:
        backend: its name.
        passed: tests.
        skipped: tests.
        faults: what went wrong; nothing when it held.
        seconds: that the tests took.
        installing_seconds: that the environment took.
    """

    backend: str
    passed: int
    skipped: int
    faults: tuple[str, ...]
    seconds: float
    installing_seconds: float


@dataclass(frozen=True)
class _Ran:
    passed: int = 0
    skipped: int = 0
    fault: str = ""


def tried(name: str, root: Path, make: Make, is_quiet: bool) -> Outcome:
    """Return what became of a backend; whatever went wrong with it is a fault, and no exception.

    Args:
        name: of the backend.
        root: folder of its folder.
        make: makes its environment, and returns the interpreter.
        is_quiet: what its tests print goes to standard error.
    """
    began = time.monotonic()
    try:
        python = make(name)
    except (OSError, subprocess.CalledProcessError) as error:
        fault = f"its environment cannot be made: {error}"
        return Outcome(name, 0, 0, (fault,), 0.0, time.monotonic() - began)
    made = time.monotonic()
    ran = [_pytest(*part, is_quiet) for part in _parts(root / name, python)]
    if not ran:
        ran = [_Ran(fault=f"it has no tests: add {root / name}/test_*.py")]
    faults = [one.fault for one in ran if one.fault]
    if remaining := left():
        faults.append(f"it left processes behind: {'; '.join(remaining)}")
    end_all()
    passed, skipped = sum(one.passed for one in ran), sum(one.skipped for one in ran)
    return Outcome(name, passed, skipped, tuple(faults), time.monotonic() - made, made - began)


def _parts(folder: Path, python: Path) -> Iterator[tuple[Path, list[str]]]:
    """Give the interpreter and pytest's arguments for each part of a backend's tests that there is."""
    inside = folder / "inside"
    if any(inside not in path.parents for path in folder.rglob("test_*.py")):
        yield Path(sys.executable), [str(folder), f"--ignore={inside}"]
    if inside.exists():
        yield python, [str(inside)]


def _pytest(python: Path, given: Sequence[str], is_quiet: bool) -> _Ran:
    with tempfile.TemporaryDirectory(prefix="ztfm-") as folder:
        result = Path(folder) / "result.xml"
        command = [str(python), "-m", "pytest", "-m", MARK, f"--durations={_SHOWN}", f"--junitxml={result}", *given]
        output = sys.stderr if is_quiet else None
        try:
            status = run(command, environments.ROOT, _MAY_TAKE_SECONDS, output)
        except OSError as error:
            return _Ran(fault=f"pytest on {given[0]}: {error}")
        counted = _counted(result)
        why = "no test ran" if status == 0 and not counted.passed else ""
        why = why or (f"ended with status {status}" if status else "")
        return _Ran(counted.passed, counted.skipped, f"pytest on {given[0]}: {why}" if why else "")


def _counted(result: Path) -> _Ran:
    try:
        suites = list(ElementTree.parse(result).getroot().iter("testsuite"))
    except (OSError, ElementTree.ParseError):
        return _Ran()
    total, failures, errors, skipped = (
        sum(int(suite.get(what, "0")) for suite in suites) for what in ("tests", "failures", "errors", "skipped")
    )
    return _Ran(max(0, total - failures - errors - skipped), skipped)


def shown(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Give the lines of the closing summary."""
    width = max(len(one.backend) for one in outcomes)
    for one in outcomes:
        verdict = "failed" if one.faults else "held"
        skipped = f", {one.skipped} skipped" if one.skipped else ""
        installing = f", and {one.installing_seconds:.0f} s for its environment" if one.installing_seconds > 1 else ""
        yield f"{one.backend:{width}}  {verdict:6}  {one.passed} passed{skipped} in {one.seconds:.0f} s{installing}"
        if one.seconds > _SHOULD_TAKE_SECONDS:
            yield f"{'':{width}}  on two idle cores a backend should take {_SHOULD_TAKE_SECONDS:.0f} s at most"
        yield from (f"{'':{width}}  {fault}" for fault in one.faults)
    failed = sum(bool(one.faults) for one in outcomes)
    yield f"backends: {len(outcomes) - failed} held, {failed} failed"


def main(given: Sequence[str] | None = None, *, root: Path = HERE, make: Make = environments.make) -> int:
    """Try the backends that are named, or all, and return the exit status.

    Args:
        given: the command line; none for the process's own.
        root: the folder of the backends' folders.
        make: makes an environment.
    """
    names = environments.names(root)
    parser = argparse.ArgumentParser(
        prog="python -m tests.backends", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}; none for all")
    parser.add_argument("--json", action="store_true", help="one JSON object: outcomes; the rest to standard error")
    wanted = parser.parse_args(given)
    if unknown := sorted(set(wanted.names) - set(names)):
        parser.error(f"there is no backend {', '.join(unknown)}; there are {', '.join(names)}")
    adopt()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    outcomes: list[Outcome] = []
    interrupted = False
    try:
        for name in wanted.names or names:
            print(f"backend {name}", file=sys.stderr, flush=True)
            outcomes.append(tried(name, root, make, wanted.json))
    except KeyboardInterrupt:
        interrupted = True
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        end_all()
    lines = [
        *(shown(outcomes) if outcomes else ()),
        *(["interrupted: the others were not tried"] if interrupted else []),
    ]
    print("\n".join(lines), file=sys.stderr if wanted.json else sys.stdout)
    if wanted.json:
        print(json.dumps({"outcomes": [asdict(one) for one in outcomes], "interrupted": interrupted}))
    failed = not outcomes or any(one.faults for one in outcomes)
    return 130 if interrupted else int(failed)


if __name__ == "__main__":
    sys.exit(main())
