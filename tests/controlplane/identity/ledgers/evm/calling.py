"""Calls of contracts in tests: what is read, what is written, and what a contract refuses."""

from collections.abc import Sequence
from typing import Any

import pytest

from controlplane.identity.ledgers.evm.compiled import Contract, load
from controlplane.identity.ledgers.evm.deploying import Done, done
from controlplane.identity.ledgers.evm.nodes import Log, Refused
from controlplane.identity.ledgers.evm.sending import Call, Sender
from tests.controlplane.identity.ledgers.evm.chains import Chain, node

NOBODY = "0x" + "0" * 40


class Called:
    """A contract on a chain."""

    def __init__(self, chain: Chain, contract: Contract, address: str) -> None:
        self.chain, self.abi, self.address = chain, load(contract).abi, address

    async def read(self, name: str, *given: Any) -> Any:
        async with node(self.chain).asked() as asked:
            return await asked.call(self.address, self.abi, name, *given)

    async def write(self, sender: Sender, name: str, *given: Any) -> Done:
        async with node(self.chain).asked() as asked:
            return await done(asked, sender, Call(asked.encoded(self.address, self.abi, name, *given), self.address))

    async def refuses(self, sender: Sender, why: str, name: str, *given: Any) -> None:
        with pytest.raises(Refused, match=why):
            await self.write(sender, name, *given)

    async def events(self, names: Sequence[str], at: Done, **given: Any) -> list[Log]:
        async with node(self.chain).asked() as asked:
            return await asked.logs(self.address, self.abi, names, at.block, at.block, given)
