"""Kinds of ledgers beside the log: each an entry point of one group, opened where its name is asked for."""

import re
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Protocol

from controlplane.contracts.identity import PublicKey
from controlplane.identity.ledgers.interface import Ledger

GROUP = "ztfm.ledgers"
"""Group of entry points. The name is the kind's; what it leads to opens one, as `Opens` says."""

_KIND = re.compile(r"[a-z][a-z0-9_]{0,15}")


class LedgerUnusable(Exception):  # noqa: N818 - named for what happened
    """A kind of ledger that was asked for is not there, or cannot be opened. The message names it, and what to do."""


class Opens(Protocol):
    """Opens a ledger; nobody is asked anything yet. Where it is an asynchronous context, it is entered and left."""

    def __call__(
        self,
        environment: Mapping[str, str],
        clock: Callable[[], float],
        *,
        federation: str,
        founders: Mapping[str, PublicKey],
    ) -> Ledger:
        """Return the ledger.

        Args:
            environment: in which its own settings are.
            clock: Unix seconds.
            federation: whose records are written and read.
            founders: organisations that everybody pins beforehand, by their DIDs.
        """
        ...


def open_ledger(
    kind: str,
    environment: Mapping[str, str],
    clock: Callable[[], float],
    *,
    federation: str,
    founders: Mapping[str, PublicKey],
) -> Ledger:
    """Return a ledger of a kind that a package brings.

    Raises:
        LedgerUnusable: no package brings it, several do, or it cannot be opened.
    """
    points = [point for point in entry_points(group=GROUP) if point.name == kind]
    if not _KIND.fullmatch(kind) or len(points) != 1:
        there = "several packages bring" if points else "no installed package brings"
        raise LedgerUnusable(f"{there} a ledger {kind!r}: name another in ZTFM_LEDGER, or install it ({GROUP})")
    try:
        opens: Opens = points[0].load()
        ledger = opens(environment, clock, federation=federation, founders=founders)
    except Exception as error:
        raise LedgerUnusable(f"the ledger {kind} cannot be opened: {error}") from error
    if ledger.name != kind:
        raise LedgerUnusable(f"{points[0].value} opens a ledger {ledger.name!r}, and is registered as {kind!r}")
    return ledger
