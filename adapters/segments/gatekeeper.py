"""What of a table is in force at a router, whatever goes wrong: never more than it grants, and nothing revoked."""

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from adapters.segments.clock import NeverBehind
from adapters.segments.enforcing import CLOSED, Enforcement
from adapters.segments.errors import NotAsApplied, RulesRefused, StateUnreadable
from adapters.segments.keeping import TableFile
from adapters.segments.withholding import IsVoid, common, narrowed, withheld
from controlplane.contracts.segmentation import GrantTable
from controlplane.segmentation.flows import Rules, TooManyFlows, rules_of
from controlplane.segmentation.rulesets import NotAsCompiled

EventName = Literal["applied", "refused", "disturbed", "silent"]

EVENTS: tuple[EventName, ...] = get_args(EventName)

_log = logging.getLogger("ztfm.segments")


@dataclass(frozen=True)
class RouterEvent:
    """What happened to a router's rules.

    Attributes:
        name: ``applied`` for a table that is in force and was read back; ``refused`` for one that takes away what it
            takes away and adds nothing; ``disturbed`` for rules that somebody else changed and that were put back;
            ``silent`` for no word of what is revoked, so that nothing passes.
        revision: of the table; empty where there is none.
        flows: in force afterwards.
        cut: addresses that are cut off afterwards.
        why: in a sentence; empty where there is nothing to say.
    """

    name: EventName
    revision: str
    flows: int
    cut: int
    why: str = ""


class Gatekeeper:
    """Puts tables in force. One call at a time.

    Args:
        enforcement: of the kernel; with ``clock`` as its clock.
        file: where the table is kept for the next start.
        is_void: whether a grant was revoked since its table was made.
        clock: Unix seconds.
        on_event: called with what happened.

    Attributes:
        table: the newest; none before the first.
        counts: what happened, by the names of `RouterEvent`.
        is_withholding: the table has grants that were revoked since it was made.
        is_refused: the table could not be put in force.
        is_unchecked: what is in force was not read back yet.
        is_silenced: nothing passes, for want of word.
    """

    def __init__(
        self,
        enforcement: Enforcement,
        file: TableFile,
        is_void: IsVoid,
        clock: NeverBehind,
        on_event: Callable[[RouterEvent], None] = lambda _: None,
    ) -> None:
        self.table: GrantTable | None = None
        self.counts: Counter[str] = Counter()
        self.is_withholding = self.is_refused = self.is_unchecked = self.is_silenced = False
        self._enforcement = enforcement
        self._file = file
        self._is_void = is_void
        self._clock = clock
        self._on_event = on_event
        self._effective: GrantTable | None = None

    def begin(self) -> None:
        """Put in force what was kept, and nothing beyond; running connections that it names go on.

        Raises:
            RulesRefused: not even a chain that drops everything can be installed.
        """
        rules = self._kept()
        try:
            # What the kernel still has was in force; what it lacks was taken away after the file was written.
            rules = common(rules, self._enforcement.adopt())
        except NotAsCompiled as error:
            _log.info("%s: it is installed", error)
        except RulesRefused as error:
            _log.error("the kernel cannot be read: %s", error)
        try:
            self._enforcement.apply(rules)
        except (RulesRefused, NotAsApplied) as error:
            _log.error("the first rules cannot be put in force: %s", error)
            self._enforcement.close()

    def take(self, table: GrantTable) -> None:
        """Take in a table that the control plane made just now; `put` puts it in force."""
        self._clock.learn(table.made_at)
        self.table = table

    def put(self, *, silenced: bool = False) -> None:
        """Put the table in force, less what was revoked since; `check` reads it back.

        Args:
            silenced: nothing is to pass, whatever the table grants.

        Raises:
            RulesRefused: not even a chain that drops everything can be installed.
        """
        self.is_silenced = silenced
        if self.table is None:
            return
        if self.is_touched():
            self.hold()
        effective = withheld(self.table, self._is_void)
        self.is_withholding = effective is not self.table
        try:
            rules = rules_of(effective, self._clock())
            self._enforcement.change(Rules({}, rules.cut) if silenced else rules)
        except (RulesRefused, TooManyFlows) as error:
            self._refuse(effective, error)
            return
        self.is_unchecked, self._effective = True, effective

    def check(self) -> None:
        """Read back what was put in force, and keep its table.

        Raises:
            RulesRefused: not even a chain that drops everything can be installed.
        """
        effective = self._effective
        if effective is None or not self.is_unchecked:
            return
        self.is_unchecked = False
        try:
            self._enforcement.check()
        except (RulesRefused, NotAsApplied) as error:
            self._refuse(effective, error)
            return
        self.is_refused = False
        try:
            self._file.keep(effective, self._clock())
        except OSError as error:
            _log.warning("the table cannot be kept for the next start: %s", error)
        self._tell("silent" if self.is_silenced else "applied")

    def hold(self) -> None:
        """Compare the kernel's rules with those that are meant, and put them back if somebody else changed them.

        Raises:
            RulesRefused: not even a chain that drops everything can be installed.
        """
        try:
            told = self._enforcement.hold()
        except RulesRefused as error:
            _log.error("the kernel's rules cannot be compared, so nothing is to pass: %s", error)
            self.is_refused = True
            self._enforcement.close()
            return
        if told:
            # Where they could not be put back, nothing passes until a table can be put in force as a whole.
            self.is_refused = self.is_refused or self._enforcement.rules is None
            _log.error("somebody else changed the rules; they are put back: %s", "; ".join(told[:3]))
            self._tell("disturbed", told[0])

    def is_touched(self) -> bool:
        """Whether the kernel may have other rules than when they were compared last."""
        return self._enforcement.is_touched()

    def _kept(self) -> Rules:
        try:
            self.table = self._file.load(self._clock())
            if self.table is None:
                return CLOSED
            self._clock.learn(self.table.made_at)
            return rules_of(self.table, self._clock())
        except (StateUnreadable, TooManyFlows) as error:
            _log.warning("%s", error)
            return CLOSED

    def _refuse(self, table: GrantTable, error: Exception) -> None:
        """Take away what a table takes away that cannot be in force as a whole."""
        _log.error("table %s is not in force: %s", table.revision[:12], error)
        self.is_refused, self.is_unchecked = True, False
        left = narrowed(self._enforcement.rules or CLOSED, table)
        try:
            self._enforcement.apply(Rules({}, left.cut) if self.is_silenced else left)
        except (RulesRefused, NotAsApplied) as worse:
            _log.error("what it takes away cannot be taken away alone, so nothing passes: %s", worse)
            self._enforcement.close()
        self._tell("refused", str(error))

    def _tell(self, name: EventName, why: str = "") -> None:
        self.counts[name] += 1
        rules = self._enforcement.rules or CLOSED
        revision = "" if self.table is None else self.table.revision
        self._on_event(RouterEvent(name, revision, len(rules.flows), len(rules.cut), why))
