"""A chain of each kind, new contracts on it, and what calls them."""

from collections.abc import AsyncIterator

import pytest

from tests.controlplane.identity.ledgers.evm.chains import Chain, InProcess, Remote
from tests.controlplane.identity.ledgers.evm.ledgers import Deployed
from tests.controlplane.identity.ledgers.evm.nodes import shared_hardhat
from tests.controlplane.identity.ledgers.people import Organisation


@pytest.fixture
async def py_evm() -> AsyncIterator[Chain]:
    yield InProcess()


@pytest.fixture(params=["py_evm", "hardhat"])
def chain(request: pytest.FixtureRequest) -> Chain:
    return InProcess() if request.param == "py_evm" else Remote(shared_hardhat().url)


@pytest.fixture
async def deployed(chain: Chain, clinic: Organisation, homes: Organisation) -> Deployed:
    return await Deployed.on(chain, {one.did: one.key.public for one in (clinic, homes)})
