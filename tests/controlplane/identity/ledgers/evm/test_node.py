"""Nodes as processes and over a network: killed, started again, lying, answering nonsense or nothing."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web

from controlplane.contracts.identity import PublicKey
from controlplane.identifiers.records import SignedRecord
from controlplane.identity.ledgers.evm import open_ledger
from controlplane.identity.ledgers.evm.accounts import create_account, load_account
from controlplane.identity.ledgers.evm.deploying import change_writer
from controlplane.identity.ledgers.evm.nodes import Node, over_http
from controlplane.identity.ledgers.evm.sending import Sender
from controlplane.identity.ledgers.interface import LedgerLied, LedgerUnavailable
from controlplane.jose.keys import DeviceKey
from tests.controlplane.identity.ledgers.evm.chains import Remote, node
from tests.controlplane.identity.ledgers.evm.ledgers import Deployed
from tests.controlplane.identity.ledgers.evm.lies import lying
from tests.controlplane.identity.ledgers.evm.nodes import new_hardhat
from tests.controlplane.identity.ledgers.evm.proxies import Serve, between, serving
from tests.controlplane.identity.ledgers.people import Organisation, follow_all, records
from tests.servers.hardhat import HardhatNode

ROOT = Path(__file__).parents[5]

# Publishes what it is given, as a process of a control plane does.
PUBLISHES = """
import asyncio, json, os, sys, time
from controlplane.identifiers.records import SignedRecord
from controlplane.identity.ledgers.evm import open_ledger

given = [SignedRecord.model_validate_json(line) for line in sys.stdin]
asyncio.run(open_ledger(os.environ, time.time, federation="default", founders={}).publish(given))
print("published")
"""


@pytest.fixture
def process(tmp_path: Path) -> Iterator[HardhatNode]:
    """A node of the test's own."""
    found = new_hardhat(tmp_path)
    found.start()
    yield found
    found.kill()


@pytest.fixture
def known(clinic: Organisation) -> dict[str, PublicKey]:
    return {clinic.did: clinic.key.public}


def made(issuer: Organisation, amount: int) -> list[SignedRecord]:
    return [issuer.registers(DeviceKey.generate()) for _ in range(amount)]


async def test_a_node_that_is_killed_and_lost_its_chain_is_written_to_and_followed_again(
    process: HardhatNode, clinic: Organisation, known: dict[str, PublicKey]
) -> None:
    deployed = await Deployed.on(Remote(process.url), known)
    writer, reader, wanted = await deployed.writer(), deployed.reader(), made(clinic, 3)
    await writer.publish(wanted)
    await deployed.settle()
    read, cursor = await follow_all(reader)
    process.kill()
    with pytest.raises(LedgerUnavailable, match="cannot be reached"):
        await reader.follow(cursor)
    with pytest.raises(LedgerUnavailable, match="cannot be reached"):
        await writer.publish(wanted)
    process.start()
    with pytest.raises(LedgerUnavailable, match="no contract"):
        await reader.follow(cursor)
    # The same account deploys first thing, so the contract has the same address.
    again = await Deployed.on(deployed.chain, known, deployed.administrator)
    assert again.terms == deployed.terms
    await (await again.writer()).publish(wanted)
    await again.chain.mine(10)
    told = await reader.follow(cursor)
    assert told.forget_from == read[0].place
    assert records(told.anchored) == wanted


async def test_what_a_process_sent_before_it_was_killed_is_there_once(
    process: HardhatNode, clinic: Organisation, known: dict[str, PublicKey], tmp_path: Path
) -> None:
    deployed, wanted = await Deployed.on(Remote(process.url), known), made(clinic, 3)
    account = create_account(tmp_path / "key")
    await deployed.chain.fund(account.address)
    async with node(deployed.chain).asked() as asked:
        await change_writer(asked, deployed.administrator, deployed.terms.contract, account.address, "admit")
    process.ask("evm_setAutomine", [False])
    environment = {
        **os.environ,
        "ZTFM_EVM_URL": process.url,
        "ZTFM_EVM_CHAIN": str(deployed.chain.number),
        "ZTFM_EVM_KEY_FILE": str(tmp_path / "key"),
        "ZTFM_EVM_RECORDS": deployed.terms.contract,
    }
    writing = _writing(environment, wanted)
    await _until(lambda: len(process.ask("eth_getBlockByNumber", ["pending", False])["transactions"]) == 1)
    writing.kill()
    writing.wait(10)
    # Its transaction waits still. Whoever starts again outbids it or finds it in a block, and either way all is there.
    sender = Sender(load_account(tmp_path / "key"), deployed.chain.number, 500.0)
    again = asyncio.create_task(deployed.ledger(sender=sender).publish(wanted))
    for _ in range(100):
        await asyncio.sleep(0.1)
        if again.done():
            break
        await deployed.chain.mine(1)
    await again
    await deployed.settle()
    found, _ = await follow_all(deployed.reader())
    assert records(found) == wanted


async def test_a_transaction_that_nobody_takes_up_is_outbid(
    process: HardhatNode, clinic: Organisation, known: dict[str, PublicKey]
) -> None:
    deployed = await Deployed.on(Remote(process.url), known)
    sender, (first, second) = await deployed.sender(), made(clinic, 2)
    process.ask("evm_setAutomine", [False])
    waiting = deployed.ledger(sender=sender, deadline_seconds=1.0)
    with pytest.raises(LedgerUnavailable, match="ZTFM_EVM_DEADLINE_SECONDS"):
        await waiting.publish([first])
    publishing = asyncio.create_task(deployed.ledger(sender=sender).publish([second, first]))
    # Longer than another transaction is waited for.
    await asyncio.sleep(3.0)
    while not publishing.done():
        await deployed.chain.mine(1)
        await asyncio.sleep(0.1)
    await publishing
    await deployed.settle()
    found, _ = await follow_all(deployed.reader())
    assert records(found) == [second, first]


async def test_somebody_on_the_network_who_drops_or_alters_an_event_is_caught(
    process: HardhatNode, clinic: Organisation, known: dict[str, PublicKey]
) -> None:
    deployed = await Deployed.on(Remote(process.url), known)
    await (await deployed.writer()).publish(made(clinic, 3))
    await deployed.settle()
    for lie in ("omits", "alters", "reorders"):
        async with between(process.url, lying(lie, 1)) as url:
            with pytest.raises(LedgerLied, match="record 2"):
                await follow_all(deployed.ledger(Node("between", over_http(url, 10.0))))
    async with between(process.url, lambda _method, _asked, answer: answer) as url:
        assert len((await follow_all(deployed.ledger(Node("between", over_http(url, 10.0)))))[0]) == 3


def _writing(environment: dict[str, str], wanted: list[SignedRecord]) -> "subprocess.Popen[str]":
    """Start another process that publishes."""
    command = [sys.executable, "-c", PUBLISHES]
    found = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, text=True)
    assert found.stdin is not None
    found.stdin.write("".join(one.model_dump_json() + "\n" for one in wanted))
    found.stdin.close()
    return found


async def _until(holds: object, seconds: float = 60.0) -> None:
    assert callable(holds)
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def _html(_request: web.Request) -> web.StreamResponse:
    return web.Response(text="<html>", content_type="text/html")


async def _no_object(_request: web.Request) -> web.StreamResponse:
    return web.json_response([1, 2])


async def _other_type(request: web.Request) -> web.StreamResponse:
    return web.json_response({"jsonrpc": "2.0", "id": (await request.json())["id"], "result": {"a": [None]}})


async def _failing(_request: web.Request) -> web.StreamResponse:
    return web.Response(status=503)


async def _moved(_request: web.Request) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": "http://169.254.169.254/"})


async def _endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(64):
        await response.write(b" " * (1 << 20))
    return response


async def _silent(_request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(30)
    return web.Response()


@pytest.mark.parametrize("serve", [_html, _no_object, _other_type, _failing, _moved, _endless, _silent])
async def test_a_node_that_answers_nonsense_or_nothing_is_unavailable_in_time(serve: Serve) -> None:
    began = time.monotonic()
    async with serving(serve) as url:
        environment = {
            "ZTFM_EVM_URL": f"{url}/?key=secret",
            "ZTFM_EVM_CHAIN": "31337",
            "ZTFM_EVM_RECORDS": "0x" + "12" * 20,
            "ZTFM_EVM_DEADLINE_SECONDS": "2",
        }
        ledger = open_ledger(environment, time.time, federation="default", founders={})
        with pytest.raises(LedgerUnavailable) as caught:
            await ledger.follow(None)
    assert "secret" not in str(caught.value)
    assert time.monotonic() - began < 20
