"""What is said of the comparison in words, for the page and the document."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from evaluation.comparison.catalogue import Catalogue
from evaluation.comparison.cells import Cell
from evaluation.comparison.results import Result
from evaluation.comparison.rows import CALLED, Row, Summary, rows, summaries
from evaluation.comparison.targets import Miss, misses
from evaluation.comparison.validity import LEAST_POINTS, LEAST_SUCCESS

NOT_RUN = "not run yet"

READING = (
    "A cell is one federation: a task, an attack, a defence, how unlike devices' data are, the share of devices that "
    "attack, and a seed. Each starts from the same model and sees the same data.",
    f"A cell counts only where the attack does harm: plain averaging loses at least {LEAST_POINTS:g} points of "
    f"accuracy against the same federation without attack, or the attacker's class is predicted for at least "
    f"{LEAST_SUCCESS:.0%} of triggered test examples. Others are shown and marked, and are in no mean.",
    "A device in a round is positive if nothing of its update went into the model or it stands apart afterwards. Rates "
    "are over devices and rounds after the third, in which everybody is a newcomer. Defences that average everybody, "
    "each in its own way, refuse nobody: they have no rates. The ranking is the chance that an attacker looked worse "
    "to a defence than an honest device did.",
    "“±” is half of the 95 % interval over seeds by Student's t, which takes seeds for independent draws from a normal "
    "distribution; with three of them it is 4.3 standard errors, with two 12.7, and wide. Means over attacks are taken "
    "within each seed first.",
    "Accuracy is of held-out examples whose templates or recordings no device has. Attack success is that of the final "
    "model, after rollbacks.",
)


@dataclass(frozen=True)
class Findings:
    """All that a report is made of.

    Attributes:
        rows: one a cell that was run.
        catalogue: what was compared.
        wanted: how many cells were asked for.
        command: that made it.
        called: the beginning of the command that runs a part of it.
        summaries: seeds together.
        misses: of the whole system.
    """

    rows: Sequence[Row]
    catalogue: Catalogue
    wanted: int
    command: str
    called: str = CALLED
    summaries: Sequence[Summary] = field(default_factory=tuple)
    misses: Sequence[Miss] = field(default_factory=tuple)

    @classmethod
    def of(
        cls, found: Mapping[Cell, Result], catalogue: Catalogue, wanted: int, command: str, called: str = CALLED
    ) -> "Findings":
        """Put results together."""
        lines = rows(found, catalogue, called)
        together = summaries(lines)
        return cls(lines, catalogue, wanted, command, called, together, misses(together))

    @property
    def counted(self) -> str:
        """How many cells there are, and how many of them count."""
        attacked = [row for row in self.rows if not row.cell.is_clean]
        counting, known = sum(row.counts is True for row in attacked), sum(row.counts is not None for row in attacked)
        rest = " The same command runs the others." if len(self.rows) < self.wanted else ""
        return (
            f"{len(self.rows)} of {self.wanted} cells were run.{rest} Somebody attacks in {len(attacked)}; in "
            f"{counting} the attack does harm, so that they count, and in {known - counting} it does none."
        )

    @property
    def cost(self) -> str:
        """What all of it took."""
        seconds = sum(row.result.cpu_seconds for row in self.rows)
        wall = sum(row.result.wall_seconds for row in self.rows)
        share = f"{seconds / wall:.0%}" if wall else "nothing"
        return (
            f"All federations together took {seconds / 60:.0f} minutes of processor time and {wall / 60:.0f} on the "
            f"wall clock, so that each had {share} of a core: the less of one, the longer is all that is on the wall "
            "clock."
        )
