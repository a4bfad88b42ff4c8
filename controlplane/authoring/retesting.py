"""Test a folder again and again: after a change, the tests that it can affect first, and then the rest."""

from collections.abc import Collection
from pathlib import Path

from controlplane.authoring.affected import affected_tests
from controlplane.authoring.findings import Finding
from controlplane.authoring.folder import PolicyFolder
from controlplane.authoring.rechecking import Difference, difference
from controlplane.authoring.testing import Results, run_some, run_tests
from controlplane.authoring.tools import Tools


class Retester:
    """Runs the tests of a folder, and knows which did not hold last.

    Args:
        tools: the programs.
        folder: of the policies.
    """

    def __init__(self, tools: Tools, folder: PolicyFolder) -> None:
        self._tools = tools
        self._folder = folder
        self._found: list[Finding] = []

    def run_affected(self, changed: Collection[Path]) -> Difference | None:
        """Run the tests that could end otherwise after a change; none where no test could.

        Args:
            changed: files since the last run, relative to the folder.

        Raises:
            AuthoringError: the policies do not compile, or OPA fails.
        """
        affected = affected_tests(self._folder, changed)
        packages = {package for some in affected.values() for package in some}
        if not packages:
            return None
        found = run_some(self._tools, self._folder, packages)
        theirs = [item for item in self._found if item.check == "test" and Path(item.file).parent in affected]
        self._found = [item for item in self._found if item not in theirs] + found
        return difference(theirs, found)

    def run(self) -> tuple[Results, Difference]:
        """Run all tests, measure what they cover, and decide the examples.

        Raises:
            AuthoringError: the policies do not compile, or OPA fails.
        """
        results = run_tests(self._tools, self._folder)
        # Coverage is not measured while a test fails: nothing is said of it then.
        unmeasured = [] if results.coverage else [item for item in self._found if item.check == "coverage"]
        told = difference([item for item in self._found if item not in unmeasured], results.findings)
        self._found = results.findings + unmeasured
        return results, told
