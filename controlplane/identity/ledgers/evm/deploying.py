"""Puts the contracts on a chain, and changes who may write."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from controlplane.identity.ledgers.evm.compiled import Contract, load
from controlplane.identity.ledgers.evm.nodes import Asked
from controlplane.identity.ledgers.evm.reading import RECORDS
from controlplane.identity.ledgers.evm.sending import Call, Sender
from controlplane.identity.ledgers.interface import LedgerUnavailable


@dataclass(frozen=True, slots=True)
class Done:
    """A transaction that is in a block and did what it should.

    Attributes:
        transaction: its hash.
        block: number of its block.
        gas: that it took.
        contract: address of what it deployed; none for another transaction.
    """

    transaction: str
    block: int
    gas: int
    contract: str | None = None


async def deploy_records(node: Asked, sender: Sender, federation: str, writers: Sequence[str]) -> Done:
    """Deploy the contract that has the records; the account that pays is its administrator.

    Args:
        node: that is asked.
        sender: for the account that pays.
        federation: whose records they are to be; for people.
        writers: accounts that may write from the start, up to 32.

    Raises:
        LedgerUnavailable: the chain did not take it.
    """
    return await _deployed(node, sender, "records", federation, [node.address(one) for one in writers])


async def deploy_dids(node: Asked, sender: Sender) -> Done:
    """Deploy the contract of did:ethr (ERC-1056), which nobody administers.

    Raises:
        LedgerUnavailable: the chain did not take it.
    """
    return await _deployed(node, sender, "dids")


async def change_writer(
    node: Asked, sender: Sender, contract: str, writer: str, change: Literal["admit", "dismiss"]
) -> Done:
    """Let an account write to a contract, or no more.

    Raises:
        LedgerUnavailable: the account that pays does not administer the contract, or the chain did not take it.
    """
    data = node.encoded(contract, RECORDS.abi, change, node.address(writer))
    return await done(node, sender, Call(data, contract))


async def done(node: Asked, sender: Sender, call: Call) -> Done:
    """Have one transaction in a block, and return what became of it. The caller bounds the time.

    Raises:
        LedgerUnavailable: it failed, or another took its place.
    """
    for transaction in await sender.send(node, [call]):
        receipt = await node.receipt(transaction)
        if receipt is None:
            break
        if int(receipt["status"]) != 1:
            raise LedgerUnavailable(f"transaction {transaction} failed")
        made = receipt.get("contractAddress")
        return Done(
            transaction, int(receipt["blockNumber"]), int(receipt["gasUsed"]), None if made is None else str(made)
        )
    raise LedgerUnavailable("another transaction of this account took its place: try again")


async def _deployed(node: Asked, sender: Sender, contract: Contract, *given: object) -> Done:
    compiled = load(contract)
    return await done(node, sender, Call(node.deployment(compiled.abi, compiled.bytecode, *given)))
