"""What each act costs in gas, measured on py-evm: `python -m tests.controlplane.identity.ledgers.evm.costs`.

The table of docs/ledger-evm.md is what this prints.
"""

import argparse
import asyncio
import json
from typing import Any

import controlplane.identity.ledgers.evm.unlifted  # noqa: F401 - before what it keeps from changing the process

# isort: split
from eth_account import Account

from controlplane.identifiers.shown import encode_record
from controlplane.identity.ledgers.evm.deploying import deploy_dids, deploy_records
from controlplane.identity.ledgers.evm.places import subject_key
from controlplane.identity.ledgers.evm.sending import Sender
from controlplane.jose.keys import DeviceKey
from tests.controlplane.identity.ledgers.evm.calling import Called
from tests.controlplane.identity.ledgers.evm.chains import InProcess, funded, node
from tests.controlplane.identity.ledgers.people import Board, Organisation, rotates

DAY = 86_400
HALF_A_YEAR = 182 * DAY


async def measured() -> dict[str, int]:
    """Return the gas of each act, by what it is called in the table."""
    chain = InProcess()
    sender = await funded(chain)
    async with node(chain).asked() as asked:
        records = await deploy_records(asked, sender, "homes", [sender.address])
        dids = await deploy_dids(asked, sender)
    assert records.contract is not None and dids.contract is not None
    return {
        "Deploy the contract for records": records.gas,
        "Deploy the contract of did:ethr": dids.gas,
        **await _records(Called(chain, "records", records.contract), sender),
        **await _dids(Called(chain, "dids", dids.contract), sender),
    }


async def _records(contract: Called, sender: Sender) -> dict[str, int]:
    clinic = Organisation("did:web:clinic.example")
    board = Board(clinic)

    async def publish(*some: Any) -> int:
        subjects = [subject_key(one.read().statement.subject) for one in some]
        board.take(some)
        return (await contract.write(sender, "publish", subjects, [encode_record(one) for one in some])).gas

    await publish(clinic.registers(DeviceKey.generate()))
    key, fresh = DeviceKey.generate(), DeviceKey.generate()
    found = {"Register a device": await publish(clinic.registers(key))}
    eight = [clinic.registers(DeviceKey.generate()) for _ in range(8)]
    found["Register a device, one of eight in a transaction"] = await publish(*eight) // 8
    found["Rotate a device's key"] = await publish(rotates(board.of(key), key, fresh))
    found["Revoke a device"] = await publish(clinic.revokes(board.of(key)))
    found["Admit a writer"] = (await contract.write(sender, "admit", Account.create().address)).gas
    return found


async def _dids(contract: Called, sender: Sender) -> dict[str, int]:
    identity, delegate = sender.address, Account.create().address
    name, purpose = b"did/pub/Multikey/sigAuth".ljust(32, b"\0"), b"sigAuth".ljust(32, b"\0")
    key = b"\x80\x24\x02" + b"\x55" * 32
    acts: list[tuple[str, str, tuple[Any, ...]]] = [
        ("Set a P-256 key of a did:ethr", "setAttribute", (identity, name, key, HALF_A_YEAR)),
        ("Revoke it", "revokeAttribute", (identity, name, key)),
        ("Add a delegate", "addDelegate", (identity, purpose, delegate, HALF_A_YEAR)),
        ("Revoke a delegate", "revokeDelegate", (identity, purpose, delegate)),
        ("Give a did:ethr to another owner", "changeOwner", (identity, delegate)),
    ]
    # What is changed for the first time costs more once; that is not shown.
    await contract.write(sender, "setAttribute", identity, name, b"first", DAY)
    return {shown: (await contract.write(sender, act, *given)).gas for shown, act, given in acts}


def table(found: dict[str, int]) -> str:
    """Return the table of the document, in thousands of gas."""
    rows = [f"| {shown} | {round(gas / 1000)} |" for shown, gas in found.items()]
    return "\n".join(["| Act | Thousands of gas |", "|---|---|", *rows])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object: act -> gas")
    found = asyncio.run(measured())
    print(json.dumps(found) if parser.parse_args().json else table(found))


if __name__ == "__main__":
    main()
