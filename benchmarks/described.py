"""A benchmark as the registry knows it: a command that measures, and the figures of it that count."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from benchmarks.needs import Need

Verdict = Literal["met", "missed", ""]


@dataclass(frozen=True)
class Figure:
    """One number of what a benchmark prints.

    Attributes:
        path: where it stands in the printed object, members joined by dots.
        what: it is, with its unit.
        at_most: the bar, where less is better.
        at_least: the bar, where more is better.
    """

    path: str
    what: str
    at_most: float | None = None
    at_least: float | None = None

    @property
    def is_promised(self) -> bool:
        """Whether there is a bar."""
        return self.at_most is not None or self.at_least is not None

    @property
    def bar(self) -> str:
        """The bar in words; nothing without one."""
        if self.at_most is not None:
            return f"at most {self.at_most:,g}"
        return "" if self.at_least is None else f"at least {self.at_least:,g}"

    def verdict(self, value: float) -> Verdict:
        """Whether a value meets the bar; nothing without one."""
        if not self.is_promised:
            return ""
        kept = (self.at_most is None or value <= self.at_most) and (self.at_least is None or value >= self.at_least)
        return "met" if kept else "missed"


@dataclass(frozen=True)
class Benchmark:
    """A command that measures, and what of it counts.

    Attributes:
        name: by which it is picked.
        module: that is run, with ``--json``.
        figures: those that are told of; a run without one of them has failed.
        arguments: beside ``--json``.
        quick: arguments instead, to see within seconds that it runs; bars are not about these.
        environment: variables that are set for it.
        needs: reasons for which it cannot run here.
        seconds: that it takes, about, on two cores.
        within: the benchmark that runs this one as a part of itself; it is run alone only when it is picked.
    """

    name: str
    module: str
    figures: tuple[Figure, ...]
    arguments: tuple[str, ...] = ()
    quick: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    needs: tuple[Need, ...] = ()
    seconds: float = 60.0
    within: str = ""

    def command(self, *, quick: bool = False) -> tuple[str, ...]:
        """The words after the interpreter."""
        return ("-m", self.module, *(self.quick if quick else self.arguments), "--json")

    def shown(self, *, quick: bool = False) -> str:
        """The command as a person types it."""
        set_first = [f"{name}={value}" for name, value in self.environment.items()]
        return " ".join([*set_first, ".venv/bin/python", *self.command(quick=quick)])

    def lacks(self) -> str:
        """Why it cannot run here; nothing when it can."""
        return "; ".join(reason for need in self.needs if (reason := need()))
