"""Rules in force: applied in one transaction, read back, compared, and put back where they are not what was applied."""

import logging
import time
from collections.abc import Callable
from typing import Any

from adapters.segments.errors import NotAsApplied, RulesRefused
from adapters.segments.generation import generation
from adapters.segments.libnftables import Nftables
from adapters.segments.withholding import common
from controlplane.segmentation import nftables, rulesets
from controlplane.segmentation.diff import SLACK, deviation
from controlplane.segmentation.flows import Rules
from controlplane.segmentation.rulesets import NotAsCompiled

CLOSED = Rules()
"""Nothing passes."""

_SLOWEST_SECONDS = 30.0
"""By which flows end early at most."""

_SHUT = {"family": nftables.FAMILY, "name": f"{nftables.TABLE}_shut"}
_log = logging.getLogger("ztfm.segments")


class Enforcement:
    """Holds the kernel to rules. One at a time: it is not to be called from two threads at once.

    There is no moment in which more passes than the rules before, or those after, let through: a transaction is taken
    whole or not at all, the chains drop by themselves what no rule accepts, and each flow ends in the kernel without
    anybody's doing.

    Args:
        kernel: takes the commands.
        clock: Unix seconds.
        generation: the number of the rules in the kernel; none where it cannot be had.

    Attributes:
        rules: that are in force; none where that is not known.
    """

    def __init__(
        self,
        kernel: Nftables,
        clock: Callable[[], float] = time.time,
        generation: Callable[[], int | None] = generation,
    ) -> None:
        self.rules: Rules | None = None
        self._kernel = kernel
        self._clock = clock
        self._generation = generation
        self._compared: int | None = None
        self._slowness = 0.0
        self._sure: Rules | None = None
        # One that this process did not make may be there from before.
        self._may_be_shut = True

    def apply(self, rules: Rules) -> None:
        """Put rules in force in place of those before, and read them back: `change`, then `check`."""
        self.change(rules)
        self.check()

    def change(self, rules: Rules) -> None:
        """Put rules in force in place of those before; running connections that they do not name end.

        Raises:
            RulesRefused: they were not taken; what was in force is.
        """
        if self.rules is not None and self.is_touched() and self.differences():
            self._restore(self.rules)
        try:
            self._install(rules)
        except RulesRefused:
            # The kernel takes a transaction as a whole or not at all; that is looked at and not believed.
            if self.rules is not None and self.differences():
                self._restore(self.rules)
            raise
        self.rules = rules

    def check(self) -> None:
        """Read back what `change` put in force.

        Raises:
            RulesRefused: the kernel cannot be read; nothing passes.
            NotAsApplied: it is something else. In force is what both these rules and the last that were found to be
                as applied let through, or nothing.
        """
        wanted = self.rules or CLOSED
        told = self.differences()
        if told:
            self._restore(common(self._sure or CLOSED, wanted))
            raise NotAsApplied(f"the rules that were read back are not those that were applied: {_some(told)}")
        self._sure = wanted
        self._unshut()

    def close(self) -> None:
        """Let nothing pass, whatever was in force.

        Raises:
            RulesRefused: not even this was taken.
        """
        self.rules = self._sure = None
        try:
            self.apply(CLOSED)
        except (RulesRefused, NotAsApplied) as error:
            _log.error("the table cannot be installed, so a chain that drops everything is: %s", error)
            self._shut()

    def adopt(self) -> Rules:
        """Take over the rules that the kernel has, and return them.

        Raises:
            NotAsCompiled: they are not of the form that we compile.
            RulesRefused: the kernel cannot be read.
        """
        self.rules = self._sure = rulesets.read(self._listing(), self._clock())
        return self.rules

    def differences(self, rules: Rules | None = None) -> list[str]:
        """Return in what the kernel differs from rules, each in a sentence; nothing where it does not.

        Args:
            rules: to compare with; none for those that were applied.

        Raises:
            RulesRefused: the kernel cannot be read.
        """
        return self._differences(rules if rules is not None else self.rules or CLOSED)

    def is_touched(self) -> bool:
        """Whether the kernel may have other rules, of whatever table, than when they were compared last."""
        number = self._generation()
        return number is None or number != self._compared

    def hold(self) -> list[str]:
        """Put the rules in force anew if the kernel has others by now; return in what those differed.

        Raises:
            RulesRefused: they could not be, and not even a chain that drops everything could.
        """
        told = self.differences()
        if told:
            self._restore(self.rules or CLOSED)
        return told

    def _install(self, rules: Rules) -> None:
        if rules == self.rules:
            return
        before = self.rules
        if before is not None:
            try:
                self._run(lambda now: nftables.changing(before, rules, now))
            except RulesRefused as error:
                _log.warning("a change was refused, so the whole table is tried: %s", error)
            else:
                return
        self._run(lambda now: nftables.installing(rules, now))

    def _run(self, commands: Callable[[float], nftables.Commands]) -> None:
        """Carry out commands that are compiled for a moment; flows end early by as much as the kernel is slow.

        The kernel counts from when it has an element, which is after the commands were made. The second try of slow
        ones is compiled for when it will be done.
        """
        for _ in range(2):
            began, number = self._clock(), self._generation()
            self._kernel.run(commands(began + self._slowness))
            if number is not None and number == self._compared and self._generation() == number + 1:
                # One transaction, which was ours: nobody else changed anything.
                self._compared = number + 1
            took = self._clock() - began
            if took <= nftables.LEAD + self._slowness:
                return
            self._slowness = min(2 * took, _SLOWEST_SECONDS)

    def _restore(self, rules: Rules) -> None:
        """Put rules in the place of whatever there is; where that fails nothing passes."""
        self.rules = self._sure = None
        try:
            self._run(lambda now: nftables.installing(rules, now))
            told = self._differences(rules)
        except RulesRefused as error:
            told = [str(error)]
        if told:
            _log.error("what was in force cannot be put back, so nothing passes: %s", _some(told))
            self._shut()
            return
        self.rules = self._sure = rules

    def _differences(self, rules: Rules) -> list[str]:
        try:
            listing, now = self._listing(), self._clock()
            found = rulesets.read(listing, now)
        except NotAsCompiled as error:
            return error.differences
        return list(deviation(rules, found, now, SLACK + self._slowness).lines())

    def _listing(self) -> Any:
        # Taken before the listing: whoever changes rules meanwhile is noticed afterwards.
        self._compared = self._generation()
        return self._kernel.listing(nftables.FAMILY, nftables.TABLE) or {"nftables": []}

    def _shut(self) -> None:
        chain = {"table": _SHUT["name"], "family": _SHUT["family"], "name": "forward"}
        self._may_be_shut = True
        # Before the table of grants, and free of whatever of it a kernel may lack.
        base = {"type": "filter", "hook": "forward", "prio": -300, "policy": "drop"}
        self._kernel.run({"nftables": [{"add": {"table": _SHUT}}, {"add": {"chain": {**chain, **base}}}]})

    def _unshut(self) -> None:
        if self._may_be_shut and self._kernel.listing(_SHUT["family"], _SHUT["name"]) is not None:
            self._kernel.run({"nftables": [{"delete": {"table": _SHUT}}]})
        self._may_be_shut = False


def _some(told: list[str]) -> str:
    return "; ".join(told[:3]) + (f" (and {len(told) - 3} more)" if len(told) > 3 else "")
