"""Identifiers of decisions and capabilities: unguessable, and in order of time."""

import os


def new_id(prefix: str, now: float) -> str:
    """Return ``prefix-`` with 12 hex digits of milliseconds and 80 random bits, so ids sort by time."""
    return f"{prefix}-{int(now * 1000):012x}{os.urandom(10).hex()}"


def first_id(prefix: str, time: float) -> str:
    """Return what comes before every identifier of ``time`` (Unix seconds) and later, and after all earlier ones."""
    return f"{prefix}-{int(time * 1000):012x}"
