"""Check a folder again and again: after a change, what it can affect; of the rest, what was found before."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from controlplane.authoring.affected import affected_checks
from controlplane.authoring.checking import NEEDS_COMPILING, check_lint, checks_of
from controlplane.authoring.findings import Finding
from controlplane.authoring.folder import PolicyFolder
from controlplane.authoring.tools import Tools

_NOT_COMPILED = "the policies do not compile"


@dataclass(frozen=True)
class Difference:
    """What a run found beside what the one before it did; a finding that only moved is the same.

    Attributes:
        found: everything that is wrong now, in order.
        new: what was not wrong before.
        gone: what is not wrong any more.
    """

    found: list[Finding]
    new: list[Finding]
    gone: list[Finding]


def difference(before: Iterable[Finding], found: Iterable[Finding]) -> Difference:
    """Compare two runs."""
    before, found = sorted(before), sorted(found)
    return Difference(found, _without(found, before), _without(before, found))


def _without(these: list[Finding], others: list[Finding]) -> list[Finding]:
    known = Counter((item.file, item.check, item.message) for item in others)
    left = []
    for item in these:
        identity = (item.file, item.check, item.message)
        if known[identity]:
            known[identity] -= 1
        else:
            left.append(item)
    return left


class Rechecker:
    """Does the checks of a folder, and knows what they found last.

    Args:
        tools: the programs.
        folder: of the policies.
        lint: whether the linter runs too. After a change it looks at the changed files alone: what one file has to
            do with others, it finds in a whole run.
    """

    def __init__(self, tools: Tools, folder: PolicyFolder, *, lint: bool = True) -> None:
        self._tools = tools
        self._folder = folder
        self._checks = {name: check for name, check in checks_of(folder).items() if lint or name != "lint"}
        self._found: dict[str, list[Finding]] = {}
        self._due: set[str] = set(self._checks)

    @property
    def skipped(self) -> dict[str, str]:
        """The checks whose last findings are out of date, each with why it could not be done."""
        return {name: _NOT_COMPILED for name in self._checks if name in self._due}

    def run(self, changed: Collection[Path] = (), tell: Callable[[Difference], None] = lambda _: None) -> Difference:
        """Do the checks that are due, all of them the first time.

        Args:
            changed: files since the last run, relative to the folder.
            tell: is told what each check found as soon as it is done.

        Raises:
            AuthoringError: a tool is missing or fails; what was due stays due.
        """
        was_due, before = set(self._due), dict(self._found)
        self._due |= affected_checks(self._checks, changed)
        due = [name for name in self._checks if name in self._due]
        # What could not be done before is done whole: it is not known what has changed since.
        works = {name: self._work(name, () if name in was_due else changed) for name in due}
        with ThreadPoolExecutor(2) as pool:
            begun = {pool.submit(work): name for name, work in works.items() if name not in NEEDS_COMPILING}
            while begun := begun | {pool.submit(works[name]): name for name in self._ready(works, begun.values())}:
                done, _ = wait(begun, return_when=FIRST_COMPLETED)
                for one in done:
                    name = begun.pop(one)
                    self._found[name] = one.result()
                    self._due.discard(name)
                    tell(difference(before.get(name, ()), self._found[name]))
        # Of what could not be done, nothing is said: neither that it is still so, nor that it is no more.
        told = [name for name in self._checks if name not in self._due]
        return difference(
            [item for name in told for item in before.get(name, ())],
            [item for name in told for item in self._found[name]],
        )

    def _ready(self, works: Iterable[str], begun: Collection[str]) -> list[str]:
        """Return which checks that need policies that compile can begin."""
        if "compile" in self._due or self._found["compile"]:
            return []
        return [name for name in works if name in NEEDS_COMPILING and name in self._due and name not in begun]

    def _work(self, name: str, changed: Collection[Path]) -> Callable[[], list[Finding]]:
        names = [path.as_posix() for path in changed if path.suffix == ".rego"]
        if name == "lint" and names and not any(path.parts[0] == ".regal" for path in changed):
            return lambda: self._lint(names)
        return lambda: self._checks[name](self._tools, self._folder)

    def _lint(self, changed: list[str]) -> list[Finding]:
        there = tuple(name for name in changed if (self._folder.root / name).is_file())
        kept = [item for item in self._found.get("lint", ()) if item.file not in changed]
        return kept + (check_lint(self._tools, self._folder, there) if there else [])
