"""A control plane whose ledger is a chain: who enrols there is on it, and who is revoked."""

import asyncio
import time
from pathlib import Path

import pytest

from controlplane.identifiers.records import SignedRecord, Statement
from controlplane.identity.ledgers.evm.accounts import create_account
from controlplane.identity.ledgers.evm.deploying import change_writer
from tests.controlplane.identity.ledgers.evm.chains import Remote, node
from tests.controlplane.identity.ledgers.evm.ledgers import Deployed
from tests.controlplane.identity.ledgers.evm.nodes import shared_hardhat
from tests.controlplane.identity.ledgers.people import follow_all, records
from tests.support import running


async def test_who_enrols_is_on_the_chain_and_who_is_revoked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deployed, account = await Deployed.on(Remote(shared_hardhat().url), {}), create_account(tmp_path / "key")
    await deployed.chain.fund(account.address)
    async with node(deployed.chain).asked() as asked:
        await change_writer(asked, deployed.administrator, deployed.terms.contract, account.address, "admit")
    for name, value in {
        "URL": deployed.chain.url,
        "CHAIN": str(deployed.chain.number),
        "RECORDS": deployed.terms.contract,
        "KEY_FILE": str(tmp_path / "key"),
        "CONFIRMATIONS": "0",
    }.items():
        monkeypatch.setenv(f"ZTFM_EVM_{name}", value)
    with running(ledger="evm", ledger_seconds=0.2) as plane:
        device = await asyncio.to_thread(plane.enrol, "trainer")
        said = await _said(deployed, device.id, "registered")
        assert said.key == device.key.public
        administrator = await asyncio.to_thread(plane.enrol, "administrator")
        body = {"status": "revoked", "reason": "lost"}
        await asyncio.to_thread(lambda: administrator.post(f"/v1/devices/{device.id}/status", body).expect(200))
        await _said(deployed, device.id, "revoked")


async def _said(deployed: Deployed, subject: str, act: str) -> Statement:
    """Return what the chain says of somebody, once it says that."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found: list[SignedRecord] = records((await follow_all(deployed.ledger(confirmations=0)))[0])
        for one in found:
            said = one.read().statement
            if (said.subject, said.act) == (subject, act):
                return said
        await asyncio.sleep(0.2)
    raise AssertionError(f"{subject} is not {act} on the chain")
