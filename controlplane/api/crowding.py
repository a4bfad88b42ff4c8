"""How many connections a process keeps: as many as it has files for, and room for whoever comes next.

A connection costs a file and a few kilobytes, and whoever opens thousands and says nothing would shut everybody else
out. A server may close what is idle at any time (RFC 9112, section 9.5).
"""

import contextlib
import resource
from typing import Protocol

MOST_CONNECTIONS = 16_384
WANTED_FILES = 32_768
KEPT_FILES = 256
"""For the database, OPA, logs and what else a process opens."""

_LOOKED_AT = 64


class Member(Protocol):
    """A connection that is kept."""

    @property
    def is_idle(self) -> bool:
        """Whether nothing was asked that is not answered yet."""
        ...

    def cut(self) -> None:
        """Close it at once."""
        ...


class Crowd:
    """The connections of one process, in the order in which they were last known to be of use.

    Args:
        most: that are kept at once.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._members: dict[Member, None] = {}

    def __len__(self) -> int:
        return len(self._members)

    def join(self, member: Member) -> None:
        """Take a connection in; where there are too many, the one that was idle for longest goes, else the new one."""
        self._members[member] = None
        if len(self._members) > self._most:
            self._longest_idle(member).cut()

    def leave(self, member: Member) -> None:
        """Forget a connection that was closed."""
        self._members.pop(member, None)

    def _longest_idle(self, newcomer: Member) -> Member:
        for _ in range(min(_LOOKED_AT, len(self._members))):
            first = next(iter(self._members))
            del self._members[first]
            if first.is_idle:
                return first
            # It is of use: the next look begins behind it.
            self._members[first] = None
        self._members.pop(newcomer, None)
        return newcomer


def room() -> int:
    """Let this process open as many files as it wants, or may, and return how many connections it has room for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED_FILES if hard == resource.RLIM_INFINITY else min(WANTED_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        # Some systems allow less than they say.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    if soft == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(1, min(MOST_CONNECTIONS, soft - KEPT_FILES))
