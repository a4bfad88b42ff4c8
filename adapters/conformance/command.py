"""What ``ztfm adapter check`` does once it knows its options. Nothing here needs torch until a case is run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.conformance.cases import CASES, named
from adapters.conformance.plane import PlaneFailed
from adapters.conformance.worker import Worker, WorkerFailed
from adapters.errors import ControlPlaneError

FAULTS: tuple[type[Exception], ...] = (ControlPlaneError, OSError, PlaneFailed, ValueError, WorkerFailed)
"""What keeps the kit itself from working."""


@dataclass(frozen=True)
class Line:
    """A case and what became of it, as the command shows it.

    Attributes:
        case: its name.
        what: what goes wrong in it.
        verdict: ``held``, ``failed`` or ``not applicable``.
        faults: what does not hold, or why it does not apply.
        seconds: that it took.
    """

    case: str
    what: str
    verdict: str
    faults: tuple[str, ...]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {**self.__dict__, "faults": list(self.faults), "seconds": round(self.seconds, 3)}


@dataclass(frozen=True)
class Row:
    """What one backend's federation came to, as the command shows it.

    Attributes:
        module: the backend's.
        seconds: that it took.
        clients: about each client, its ``behaviour``, in which rounds an update was ``accepted`` or ``refused``,
            and its ``status`` in the end.
        differences: what was decided otherwise than with the first backend.
    """

    module: str
    seconds: float
    clients: list[dict[str, Any]]
    differences: list[str]

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {**self.__dict__, "seconds": round(self.seconds, 3)}


def listed() -> list[dict[str, Any]]:
    """Return the cases: ``name``, ``what`` goes wrong, ``must`` be so then."""
    return [{"name": case.name, "what": case.what, "must": case.must} for case in CASES]


def check(module: str, names: Sequence[str], told: Callable[[Line], None], python: Path | None = None) -> list[Line]:
    """Run cases with a backend, and return what became of each.

    Args:
        module: the backend's, by its import name.
        names: of the cases; none for all.
        told: of each as soon as it is over.
        python: interpreter of the environment that has the backend's packages; none for this one.

    Raises:
        Exception: one of `FAULTS`, when the kit itself could not work.
    """
    try:
        cases = [named(name) for name in names] or list(CASES)
    except KeyError as error:
        raise ValueError(error.args[0]) from None
    from adapters.conformance.kit import opened

    lines = []
    with Worker(module, python) as worker, opened(cases) as kit:
        for one in kit.check(worker, cases):
            line = Line(one.case.name, one.case.what, one.verdict, one.faults, one.seconds)
            lines.append(line)
            told(line)
    return lines


def compare(backends: Sequence[str], told: Callable[[Row], None]) -> list[Row]:
    """Run one federation on several backends, and return what became of each.

    Args:
        backends: each a module, and after an ``@`` the interpreter of its environment where that is another one.
        told: of each as soon as it is over.

    Raises:
        Exception: one of `FAULTS`, when the kit itself could not work.
    """
    from adapters.conformance.comparing import Federation, differences, run

    rows: list[Row] = []
    first: Federation | None = None
    for backend in backends:
        module, _, python = backend.partition("@")
        found = run(module, Path(python) if python else None)
        first = first or found
        row = Row(module, found.seconds, [one.summary() for one in found.decided], differences(first, found))
        rows.append(row)
        told(row)
    return rows
