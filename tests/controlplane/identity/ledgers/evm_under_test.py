"""The EVM ledger in the conformance suite, on py-evm within this process."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from controlplane.contracts.identity import PublicKey
from controlplane.identity.ledgers.interface import Ledger
from controlplane.jose.keys import DeviceKey
from tests.controlplane.identity.ledgers.conformance import Lie
from tests.controlplane.identity.ledgers.evm.chains import Chain, InProcess, height
from tests.controlplane.identity.ledgers.evm.ledgers import Deployed
from tests.controlplane.identity.ledgers.evm.lies import lying
from tests.controlplane.identity.ledgers.people import Organisation, follow_all, records


class EvmUnderTest:
    """A contract on a chain, and what makes another chain of that kind."""

    def __init__(self, deployed: Deployed, another: Callable[[], Chain]) -> None:
        self._deployed, self._another = deployed, another

    async def writer(self) -> Ledger:
        return await self._deployed.writer()

    async def reader(self) -> Ledger:
        return self._deployed.reader()

    async def settle(self) -> None:
        await self._deployed.settle()

    async def liar(self, lie: Lie, number: int) -> Ledger:
        return self._deployed.reader(lying(lie, number))

    async def other_view(self) -> Ledger:
        """Return a reader of another chain, whose keeper wrote the same records into it, and one more."""
        settled, _ = await follow_all(self._deployed.reader())
        here = self._deployed
        # The same account deploys first thing on both: so the contract has the same address.
        other = await Deployed.on(self._another(), here.founders, here.administrator)
        assert other.terms == here.terms
        writer, more = await other.writer(), Organisation("did:web:other.example")
        for one in [*records(settled), more.registers(DeviceKey.generate())]:
            await writer.publish([one])
        await other.chain.mine(await height(here.chain) + 30)
        return other.reader()


@asynccontextmanager
async def opened(_folder: Path, founders: Mapping[str, PublicKey]) -> AsyncIterator[EvmUnderTest]:
    yield EvmUnderTest(await Deployed.on(InProcess(), founders), InProcess)
