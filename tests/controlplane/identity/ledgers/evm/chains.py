"""Chains for tests: py-evm within this process, and a real node of Hardhat. Both are told to mine, and to go back."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol

import controlplane.identity.ledgers.evm.unlifted  # noqa: F401 - before what it keeps from changing the process

# isort: split
from eth_account import Account
from eth_tester.exceptions import TransactionFailed
from eth_utils import ValidationError
from web3 import AsyncWeb3
from web3.middleware import Web3Middleware
from web3.providers.eth_tester import AsyncEthereumTesterProvider

from controlplane.identity.ledgers.evm.nodes import Connect, Node, over_http
from controlplane.identity.ledgers.evm.sending import Sender

COINS = 10**20
Twist = Callable[[str, Any, Any], Any]
"""Is given a method, what it was asked and what it answers, and returns what is answered instead."""


class Refusal(Exception):  # noqa: N818 - an answer
    """Raised by a twist: the node answers with this error."""


class Chain(Protocol):
    """A chain with one node, which makes a block of each transaction."""

    url: str
    number: int

    @property
    def connect(self) -> Connect: ...

    async def fund(self, address: str) -> None: ...

    async def mine(self, blocks: int) -> None: ...

    async def snapshot(self) -> Any: ...

    async def revert(self, to: Any) -> None: ...


class _Refusing(Web3Middleware):  # type: ignore[misc]
    """Has py-evm answer with errors, as a node over HTTP does, where it raises its own."""

    async def async_wrap_make_request(self, make_request: Any) -> Any:
        async def asked(method: Any, params: Any) -> Any:
            try:
                return await make_request(method, params)
            except (ValidationError, TransactionFailed) as error:
                # web3 would look for a reason beside a message that begins as py-evm's does.
                said = str(error).replace("execution reverted", "refused")
                return {"jsonrpc": "2.0", "id": 1, "error": {"code": -32000, "message": said}}

        return asked


class InProcess:
    """py-evm, without a network."""

    url = "https://py-evm.example"
    number = 131277322940537

    def __init__(self) -> None:
        self.web3 = AsyncWeb3(AsyncEthereumTesterProvider())
        self.web3.middleware_onion.add(_Refusing)
        self.tester = self.web3.provider.ethereum_tester

    @property
    def connect(self) -> Connect:
        @asynccontextmanager
        async def connect() -> AsyncIterator[Any]:
            yield self.web3

        return connect

    async def fund(self, address: str) -> None:
        await self.web3.eth.send_transaction({"from": self.tester.get_accounts()[0], "to": address, "value": COINS})

    async def mine(self, blocks: int) -> None:
        self.tester.mine_blocks(blocks)

    async def snapshot(self) -> Any:
        return self.tester.take_snapshot()

    async def revert(self, to: Any) -> None:
        self.tester.revert_to_snapshot(to)


class Remote:
    """A node of Hardhat, over HTTP."""

    number = 31337

    def __init__(self, url: str) -> None:
        self.url = url

    @property
    def connect(self) -> Connect:
        return over_http(self.url, 30.0)

    async def fund(self, address: str) -> None:
        await self._ask("hardhat_setBalance", [address, hex(COINS)])

    async def mine(self, blocks: int) -> None:
        # One by one: of blocks that are mined at once, Hardhat does not know the state after it went back.
        for _ in range(blocks):
            await self._ask("evm_mine", [])

    async def snapshot(self) -> Any:
        return await self._ask("evm_snapshot", [])

    async def revert(self, to: Any) -> None:
        assert await self._ask("evm_revert", [to])

    async def _ask(self, method: str, given: list[Any]) -> Any:
        async with self.connect() as web3:
            answer = await web3.provider.make_request(method, given)
        assert "error" not in answer, answer
        return answer["result"]


async def height(chain: Chain) -> int:
    """Return the number of the newest block."""
    async with node(chain).asked() as asked:
        return (await asked.block("latest")).number


async def funded(chain: Chain) -> Sender:
    """Return what sends for a new account that has coins."""
    sender = Sender(Account.create(), chain.number, 500.0)
    await chain.fund(sender.address)
    return sender


def through(chain: Chain, twist: Twist) -> Connect:
    """Return what connects to the chain's node through somebody who answers otherwise than the node did."""

    class Liar(Web3Middleware):  # type: ignore[misc]
        async def async_wrap_make_request(self, make_request: Any) -> Any:
            async def asked(method: Any, params: Any) -> Any:
                answer = await make_request(method, params)
                try:
                    return {**answer, "result": twist(method, params, answer["result"])}
                except KeyError:
                    return answer
                except Refusal as refusal:
                    return {"jsonrpc": "2.0", "id": 1, "error": {"code": -32005, "message": str(refusal)}}

            return asked

    @asynccontextmanager
    async def connect() -> AsyncIterator[Any]:
        async with chain.connect() as web3:
            lying = AsyncWeb3(web3.provider)
            lying.middleware_onion.add(_Refusing)
            lying.middleware_onion.add(Liar)
            yield lying

    return connect


def node(chain: Chain, twist: Twist | None = None, name: str = "node") -> Node:
    """Return a node of the chain."""
    return Node(name, chain.connect if twist is None else through(chain, twist))
