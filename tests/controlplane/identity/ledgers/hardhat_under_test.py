"""The EVM ledger in the conformance suite, on a real node of Hardhat."""

from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

from controlplane.contracts.identity import PublicKey
from tests.controlplane.identity.ledgers.evm.chains import Chain, Remote
from tests.controlplane.identity.ledgers.evm.ledgers import Deployed
from tests.controlplane.identity.ledgers.evm.nodes import shared_hardhat
from tests.controlplane.identity.ledgers.evm_under_test import EvmUnderTest
from tests.servers.hardhat import running_hardhat


@asynccontextmanager
async def opened(folder: Path, founders: Mapping[str, PublicKey]) -> AsyncIterator[EvmUnderTest]:
    chain = Remote(shared_hardhat().url)
    with ExitStack() as nodes:

        def another() -> Chain:
            return Remote(nodes.enter_context(running_hardhat(folder)).url)

        yield EvmUnderTest(await Deployed.on(chain, founders), another)
