"""Processor time of a process and of all that it has started, which other work on the machine hardly moves."""

from contextlib import suppress

import psutil


def processor_seconds(process: int | None = None) -> float:
    """Return what a process and its living descendants have used.

    Args:
        process: its number; none for this one.
    """
    used = 0.0
    for one in (root := psutil.Process(process), *root.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            times = one.cpu_times()
            used += times.user + times.system
    return used
