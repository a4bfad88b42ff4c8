"""Child processes of the kit that do not outlive it, however it ends (Linux; elsewhere they may)."""

import ctypes
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

_PR_SET_PDEATHSIG = 1

# Looked up here: between fork and exec a child should do as little as it can.
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


def ends_with_us(number: signal.Signals) -> Callable[[], None]:
    """Return what a child calls between fork and exec, to be sent ``number`` when the thread that forked it is gone."""
    return partial(_end_with_parent, number)


def children_of(parent: int) -> list[int]:
    """Return the process ids of a process's children, the dead ones left out (Linux; elsewhere none are found)."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            fields = (place / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent and fields[0] != "Z":
            found.append(int(place.name))
    return found


def _end_with_parent(number: signal.Signals) -> None:
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, number)
