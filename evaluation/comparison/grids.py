"""Which cells are run: blocks, each all of some tasks with all of some attacks, defences, skews, shares and seeds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Self

from evaluation.comparison.cells import CLEAN, Cell

Size = str
"""``quick`` or ``full``: how long federations train, too."""


@dataclass(frozen=True)
class Block:
    """All combinations of what it names.

    Attributes:
        tasks: by name.
        attacks: by name.
        defences: by name.
        skews: Dirichlet parameters; none among them for data as they came about.
        shares: of hostile devices.
        seeds: of each.
    """

    tasks: Sequence[str]
    attacks: Sequence[str]
    defences: Sequence[str]
    skews: Sequence[float | None] = (0.5,)
    shares: Sequence[float] = (0.2,)
    seeds: Sequence[int] = (0, 1, 2)

    def cells(self) -> Iterable[Cell]:
        """Its cells, and those that these are held against."""
        for task, skew, seed, attack, share, defence in product(
            self.tasks, self.skews, self.seeds, self.attacks, self.shares, self.defences
        ):
            cell = Cell(
                task=task,
                attack=attack,
                defence=defence,
                skew=skew,
                share=0.0 if attack == CLEAN else share,
                seed=seed,
            )
            yield from (cell.unharmed, cell.averaged, cell)


@dataclass(frozen=True)
class Grid:
    """What one call of the comparison runs.

    Attributes:
        size: for folders, and for how long federations train.
        blocks: whose cells are run, each once.
    """

    size: Size
    blocks: Sequence[Block]

    def cells(self) -> list[Cell]:
        """Every cell once, in the order in which blocks name them."""
        return list(dict.fromkeys(cell for block in self.blocks for cell in block.cells()))

    def only(
        self,
        tasks: Sequence[str] = (),
        attacks: Sequence[str] = (),
        defences: Sequence[str] = (),
        seeds: Sequence[int] = (),
    ) -> Self:
        """The part of it with these; what is not in it is added as its widest block has it.

        Args:
            tasks: to keep; none for all.
            attacks: to keep; none for all.
            defences: to keep; none for all.
            seeds: to run instead; none for those of each block.
        """
        narrowed = [_narrowed(block, tasks, attacks, defences, seeds) for block in self.blocks]
        kept = [block for block in narrowed if block.tasks and block.attacks and block.defences]
        missing = _missing(kept, tasks, attacks, defences)
        if missing or not kept:
            first = self.blocks[0]
            kept.append(
                replace(
                    first,
                    tasks=tasks or first.tasks,
                    attacks=attacks or first.attacks,
                    defences=defences or first.defences,
                    seeds=seeds or first.seeds,
                )
            )
        return replace(self, blocks=tuple(kept))

    def joined(self, defence: str) -> Self:
        """The same with one defence more, against every attack of every block."""
        return replace(
            self,
            blocks=[replace(block, defences=tuple(dict.fromkeys((*block.defences, defence)))) for block in self.blocks],
        )


def _narrowed(
    block: Block, tasks: Sequence[str], attacks: Sequence[str], defences: Sequence[str], seeds: Sequence[int]
) -> Block:
    def of(found: Sequence[str], wanted: Sequence[str]) -> tuple[str, ...]:
        return tuple(one for one in found if not wanted or one in wanted)

    return replace(
        block,
        tasks=of(block.tasks, tasks),
        attacks=of(block.attacks, attacks),
        defences=of(block.defences, defences),
        seeds=tuple(seeds) or block.seeds,
    )


def _missing(
    blocks: Sequence[Block], tasks: Sequence[str], attacks: Sequence[str], defences: Sequence[str]
) -> set[str]:
    return (
        set(tasks).difference(*(block.tasks for block in blocks))
        | set(attacks).difference(*(block.attacks for block in blocks))
        | set(defences).difference(*(block.defences for block in blocks))
    )
