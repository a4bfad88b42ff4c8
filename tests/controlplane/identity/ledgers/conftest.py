"""One ledger of each kind, with the organisations that found it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.controlplane.identity.ledgers.conformance import KINDS, LedgerUnderTest, opening
from tests.controlplane.identity.ledgers.people import Organisation


@pytest.fixture
def clinic() -> Organisation:
    return Organisation("did:web:clinic.example")


@pytest.fixture
def homes() -> Organisation:
    return Organisation("did:web:homes.example")


@pytest.fixture(params=list(KINDS))
async def under_test(
    request: pytest.FixtureRequest, tmp_path: Path, clinic: Organisation, homes: Organisation
) -> AsyncIterator[LedgerUnderTest]:
    known = {one.did: one.key.public for one in (clinic, homes)}
    async with opening(request.param)(tmp_path, known) as found:
        yield found
