"""The tiny task, whose sleeper is asleep for good: until its process is asked to end."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from evaluation.comparison.catalogue import Catalogue
from evaluation.comparison.cells import Cell
from evaluation.comparison.interfaces import Defence, Learning, Received
from tests.evaluation.comparison import tiny
from tests.evaluation.comparison.tiny import cell

__all__ = ["catalogue", "cell"]

MADE: list[Path] = []


class Sleeping(tiny.Mean):
    def aggregate(self, received: Received) -> tiny.Aggregated:
        (MADE[0] / "begun.partial").write_text(str(os.getpid()))
        (MADE[0] / "begun.partial").replace(MADE[0] / "begun")
        time.sleep(600)
        return super().aggregate(received)


def learning(of: Cell, size: str, folder: Path) -> Learning:
    folder.mkdir(parents=True, exist_ok=True)
    MADE.append(folder)
    return tiny.Pulling(of)


@contextmanager
def averaging(of: Cell, task: Learning) -> Iterator[Defence]:
    try:
        yield Sleeping() if of.attack == "sleeper" else tiny.Mean()
    finally:
        if of.attack == "sleeper":
            (MADE[0] / "closed").touch()


def catalogue() -> Catalogue:
    found = tiny.catalogue()
    shield = replace(found.defences["averaging"], opens=averaging)
    return replace(found, tasks={"tiny": learning}, defences={"averaging": shield})
