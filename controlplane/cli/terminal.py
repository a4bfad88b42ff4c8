"""The keys of a terminal, one at a time; as it was, once nobody listens any more."""

import asyncio
import os
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager


def is_capable() -> bool:
    """Whether standard output is a terminal that can be drawn on."""
    return sys.stdout.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")


@contextmanager
def keys(heard: Callable[[str], None]) -> Iterator[None]:
    """Call ``heard`` with every key that is pressed meanwhile; nothing where standard input is no terminal.

    Must be entered within a running loop.
    """
    if not sys.stdin.isatty():
        yield
        return
    place = sys.stdin.fileno()
    loop = asyncio.get_running_loop()
    before = termios.tcgetattr(place)

    def read() -> None:
        pressed = os.read(place, 64)
        if not pressed:
            # The terminal is gone: it would be ready to read for ever.
            loop.remove_reader(place)
        for key in pressed.decode(errors="replace"):
            heard(key)

    tty.setcbreak(place, termios.TCSANOW)
    loop.add_reader(place, read)
    try:
        yield
    finally:
        loop.remove_reader(place)
        termios.tcsetattr(place, termios.TCSADRAIN, before)
