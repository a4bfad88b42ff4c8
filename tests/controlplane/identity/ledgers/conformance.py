"""What a kind of ledger brings to the conformance suite, and which kinds there are.

The suite is `test_conformance.py` in this folder. A kind takes part by one module beside this one, `KIND_under_test.py`
with a function ``opened(folder, founders)`` that is an asynchronous context manager and yields a `LedgerUnderTest`, and
by its line in `KINDS`. Nothing of the suite knows a kind. Run one with ``-k KIND``.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from importlib import import_module
from pathlib import Path
from typing import Literal, Protocol

from controlplane.contracts.identity import PublicKey
from controlplane.identity.ledgers.interface import Ledger

KINDS = {
    "log": "tests.controlplane.identity.ledgers.log_under_test",
    "evm": "tests.controlplane.identity.ledgers.evm_under_test",
    "hardhat": "tests.controlplane.identity.ledgers.hardhat_under_test",
}
"""By kind, the module that opens one for a test."""

FEDERATION = "default"

Lie = Literal["omits", "alters", "reorders"]
"""What whoever stands between a reader and the ledger may do with one record: leave it out as if it had never been,
change what it says or who signed it, or show it in the place of the one after it, and that one before."""


class LedgerUnderTest(Protocol):
    """One ledger, empty, for one test. All of its writers and readers are of the same ledger.

    Where a control plane's store is part of the ledger, its URL is in an attribute ``database``.
    """

    async def writer(self) -> Ledger:
        """Return another one that publishes: another process, or another organisation."""
        ...

    async def reader(self) -> Ledger:
        """Return another one that follows from outside and trusts nobody but those whom everybody knows beforehand."""
        ...

    async def settle(self) -> None:
        """Have what was published become final: sign a head, mine blocks."""
        ...

    async def liar(self, lie: Lie, number: int) -> Ledger:
        """Return one that follows through somebody who lies about a record, by its number in the ledger's order."""
        ...

    async def other_view(self) -> Ledger:
        """Return a reader of another history that begins as this one does, as far as it is settled, and goes on apart.

        Whoever keeps the ledger shows it: it is signed, mined or sealed as the true one is, wherever the keeper alone
        can do that.
        """
        ...


Opens = Callable[[Path, Mapping[str, PublicKey]], AbstractAsyncContextManager[LedgerUnderTest]]
"""Opens a ledger in a folder, for founders by their DIDs."""


def opening(kind: str) -> Opens:
    """Return what opens a ledger of a kind."""
    opens: Opens = import_module(KINDS[kind]).opened
    return opens
