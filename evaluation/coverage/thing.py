"""A row: one thing that the paper names."""

from dataclasses import dataclass

from evaluation.coverage.figures import Figure


@dataclass(frozen=True)
class Thing:
    """One thing that the paper names, and what becomes of it here.

    Attributes:
        name: as the paper has it.
        does: what this system does, one or two sentences.
        pages: in ``docs``, with an anchor where a part is meant.
        policies: packages that decide it, below ``ztfm``; none where nothing is decided.
        tests: files that show it.
        cost: figures of what it costs.
        gain: figures of what it is worth.
        lacks: what it does not do, or what was not measured.
    """

    name: str
    does: str
    pages: tuple[str, ...]
    policies: tuple[str, ...]
    tests: tuple[str, ...]
    cost: tuple[Figure, ...] = ()
    gain: tuple[Figure, ...] = ()
    lacks: str = ""
