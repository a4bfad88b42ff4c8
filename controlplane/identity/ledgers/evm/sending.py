"""Transactions of one account: numbered, paid for within a bound, and in a block in the end or known not to be.

Its number (nonce) is taken from the blocks alone. So what waits from before, or from another process with the same
account, is outbid once it has waited long enough, and nothing has to be remembered over a crash.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from controlplane.identity.ledgers.evm.nodes import Asked, Refused
from controlplane.identity.ledgers.interface import LedgerUnavailable

_GWEI = 10**9
_PATIENCE_SECONDS = 2.0
_POLL_SECONDS = (0.02, 1.0)
_MARGIN = (5, 4)
_MORE_GAS = 30_000
_MOST_BIDS = 24
_WAITING = ("underpriced", "replacement")
_KNOWN = ("already known", "known transaction", "already imported")
_SPENT = ("nonce too low", "invalid transaction nonce", "nonce is too low", "expected nonce")


@dataclass(frozen=True, slots=True)
class Call:
    """What a transaction does.

    Attributes:
        data: with which it calls, or code that it deploys, hexadecimal with ``0x``.
        to: contract that it calls; none when it deploys one.
    """

    data: str
    to: str | None = None


class Sender:
    """Sends for one account. Only one sending at a time is right.

    Args:
        account: that signs and pays.
        chain: number of the chain.
        most_fee_gwei: for a unit of gas, beyond which nothing is sent.
    """

    def __init__(self, account: Any, chain: int, most_fee_gwei: float) -> None:
        self._account, self._chain = account, chain
        self._most_fee = int(most_fee_gwei * _GWEI)

    @property
    def address(self) -> str:
        """Of the account."""
        return str(self._account.address)

    async def send(self, node: Asked, calls: Sequence[Call]) -> list[str]:
        """Have transactions in blocks, one after the other, or others of the same account in their place.

        Returns:
            Their hashes. Whether they did what they should, is to be looked at.

        Raises:
            LedgerUnavailable: they cost too much, would fail, or nobody takes them. The caller bounds the time.
        """
        nonce = await node.sent_by(self.address)
        hashes = []
        for number, call in enumerate(calls, start=nonce):
            sent = await self._bid(node, call, number)
            if sent is None:
                break
            hashes.append(sent)
        if hashes:
            await self._passed(node, nonce + len(hashes))
        return hashes

    async def _bid(self, node: Asked, call: Call, nonce: int) -> str | None:
        """Return the hash of a transaction that a node took; none where its number was spent meanwhile."""
        gas = await node.estimate(self._transaction(call))
        gas = gas * _MARGIN[0] // _MARGIN[1] + _MORE_GAS
        for bid in range(_MOST_BIDS):
            if bid and await self._waited(node, nonce):
                return None
            signed = self._account.sign_transaction(
                {**self._transaction(call), "nonce": nonce, "gas": gas, **await self._fees(node, bid)}
            )
            try:
                return await node.send(bytes(signed.raw_transaction))
            except Refused as refused:
                said = str(refused).lower()
                if any(word in said for word in _KNOWN):
                    return "0x" + bytes(signed.hash).hex()
                if any(word in said for word in _SPENT):
                    return None
                if not any(word in said for word in _WAITING):
                    raise
        raise LedgerUnavailable(f"another transaction {nonce} of {self.address} waits, and cannot be outbid")

    def _transaction(self, call: Call) -> dict[str, Any]:
        shown = {"from": self.address, "data": call.data, "value": 0, "chainId": self._chain}
        return shown if call.to is None else {**shown, "to": call.to}

    async def _fees(self, node: Asked, bid: int) -> dict[str, int]:
        """Return what is offered for a unit of gas; each bid is a quarter above the one before."""
        latest = await node.block("latest")
        if latest.base_fee is None:
            fee = tip = _raised(await node.gas_price(), bid)
        else:
            tip = _raised(max(1, await node.tip()), bid)
            fee = _raised(2 * latest.base_fee, bid) + tip
        if fee > self._most_fee:
            raise LedgerUnavailable(
                f"a unit of gas costs {fee / _GWEI:g} gwei: wait, or allow more with ZTFM_EVM_MOST_FEE_GWEI"
            )
        if latest.base_fee is None:
            return {"gasPrice": fee}
        return {"maxFeePerGas": fee, "maxPriorityFeePerGas": tip}

    async def _waited(self, node: Asked, nonce: int) -> bool:
        """Give another transaction of that number time; whether it is in a block then."""
        until = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < until:
            if await node.sent_by(self.address) > nonce:
                return True
            await asyncio.sleep(0.1)
        return False

    async def _passed(self, node: Asked, count: int) -> None:
        pause, longest = _POLL_SECONDS
        while await node.sent_by(self.address) < count:
            await asyncio.sleep(pause)
            pause = min(longest, pause * 2)


def _raised(fee: int, bid: int) -> int:
    for _ in range(bid):
        fee = fee * 5 // 4 + 1
    return fee
