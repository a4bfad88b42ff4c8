"""Moments and lengths of time as people write them on a command line."""

import re
from datetime import UTC, datetime

_LENGTH = re.compile(r"(\d{1,6})([smhd])")
_UNITS = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}


def length(text: str) -> float:
    """Return a length of time such as ``90m``, ``24h`` or ``7d``, in seconds.

    Raises:
        ValueError: it is none.
    """
    found = _LENGTH.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no length of time such as 90m, 24h, 7d")
    return int(found[1]) * _UNITS[found[2]]


def date(text: str) -> float:
    """Return the Unix time of a date; UTC unless it says otherwise.

    Raises:
        ValueError: it is none.
    """
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is no date such as 2026-03-01T12:00Z") from None


def moment(text: str, now: float) -> float:
    """Return the Unix time of a date, or of an age such as ``24h`` before ``now``.

    Raises:
        ValueError: it is neither.
    """
    if _LENGTH.fullmatch(text):
        return max(0.0, now - length(text))
    try:
        return date(text)
    except ValueError:
        raise ValueError(f"{text!r} is neither a date such as 2026-03-01T12:00Z nor an age such as 24h") from None
