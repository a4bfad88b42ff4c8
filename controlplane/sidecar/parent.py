"""A child process that does not outlive its parent, however that ends. On Linux; elsewhere it may."""

import ctypes
import signal
import sys

_PR_SET_PDEATHSIG = 1

# Looked up here: between fork and exec a child should do as little as it can.
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


def die_with_parent(number: signal.Signals = signal.SIGKILL) -> None:
    """Called in the child, between fork and exec: have the kernel send ``number`` when the parent is gone.

    The parent is the thread that forked: it must live as long as the child shall.
    """
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, number)
