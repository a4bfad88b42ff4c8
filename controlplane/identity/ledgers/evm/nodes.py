"""Nodes of a chain, asked over JSON-RPC with web3.

A node is a stranger: what it answers is bounded, and may be nonsense.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp

import controlplane.identity.ledgers.evm.unlifted  # noqa: F401 - before what it keeps from changing the process

# isort: split
from web3 import AsyncWeb3
from web3.exceptions import Web3Exception
from web3.providers.async_base import AsyncJSONBaseProvider

from controlplane.identity.ledgers.interface import LedgerUnavailable

Connect = Callable[[], AbstractAsyncContextManager[Any]]
"""Opens a connection to a node: an `AsyncWeb3`."""

Answer = TypeVar("Answer")

_MOST_BYTES = 32 * 1024 * 1024
_NONSENSE = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError)
"""What web3 raises, among others, where an answer is not what it should be."""


class Refused(LedgerUnavailable):
    """A node answered with an error. The message says which."""


@dataclass(frozen=True, slots=True)
class Block:
    """A block.

    Attributes:
        number: of it.
        hash: of it, hexadecimal with ``0x``.
        time: Unix seconds.
        base_fee: wei for a unit of gas; none on a chain without.
    """

    number: int
    hash: str
    time: int
    base_fee: int | None


@dataclass(frozen=True, slots=True)
class Log:
    """An event as a node shows it.

    Attributes:
        event: its name.
        arguments: by name.
        block: number of its block.
        block_hash: of its block.
        transaction: hash of its transaction.
        index: in its block.
    """

    event: str
    arguments: dict[str, Any]
    block: int
    block_hash: str
    transaction: str
    index: int


class BoundedProvider(AsyncJSONBaseProvider):  # type: ignore[misc]  # web3 is not looked into
    """JSON-RPC over HTTP: no redirect is followed, and no answer is longer than it may be.

    Args:
        url: of the node.
        session: that asks.
    """

    # An answer could have us ask any address (EIP-3668).
    global_ccip_read_enabled = False

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        super().__init__()
        self._url, self._session = url, session

    async def make_request(self, method: Any, params: Any) -> Any:
        """Return the answer to a request.

        Raises:
            aiohttp.ClientError: it does not answer, or with another status than 200.
            ValueError: the answer is too long, or no JSON.
        """
        headers = {"Content-Type": "application/json"}
        body = self.encode_rpc_request(method, params)
        async with self._session.post(self._url, data=body, headers=headers, allow_redirects=False) as answer:
            raw = b""
            async for part in answer.content.iter_any():
                raw += part
                if len(raw) > _MOST_BYTES:
                    raise ValueError(f"an answer of more than {_MOST_BYTES} bytes")
            if answer.status != 200 and not raw.startswith(b"{"):
                raise aiohttp.ClientConnectionError(f"status {answer.status}")
            return self.decode_rpc_response(raw)


def over_http(url: str, seconds: float) -> Connect:
    """Return what opens connections to a node at a URL.

    Args:
        url: JSON-RPC over HTTP.
        seconds: until an answer is given up.
    """

    @asynccontextmanager
    async def _connect() -> AsyncIterator[Any]:
        timeout = aiohttp.ClientTimeout(total=seconds)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            yield AsyncWeb3(BoundedProvider(url, session))

    return _connect


def shown_name(url: str) -> str:
    """Return by what a node is named to people: never its whole URL, which may hold a secret."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)


class Node:
    """A node.

    Args:
        name: for people.
        connect: opens a connection.
    """

    def __init__(self, name: str, connect: Connect) -> None:
        self.name, self._connect = name, connect

    @asynccontextmanager
    async def asked(self) -> AsyncIterator["Asked"]:
        """Open a connection for a while."""
        async with self._connect() as web3:
            yield Asked(self.name, web3)


class Asked:
    """A node to which a connection is open. Everything that it does not answer properly is a `LedgerUnavailable`.

    Args:
        name: of the node, for people.
        web3: the connection.
    """

    def __init__(self, name: str, web3: Any) -> None:
        self.name, self._web3 = name, web3

    async def chain(self) -> int:
        """Return the number of the chain."""
        return await self._answer(self._web3.eth.chain_id, int)

    async def block(self, which: int | str) -> Block:
        """Return a block by its number, or ``latest`` or ``finalized``."""

        def _block(found: Any) -> Block:
            fee = found.get("baseFeePerGas")
            number, time = int(found["number"]), int(found["timestamp"])
            return Block(number, _hex(found["hash"]), time, None if fee is None else int(fee))

        return await self._answer(self._web3.eth.get_block(which), _block)

    async def code(self, address: str, block: int | str = "latest") -> bytes:
        """Return the code of a contract; nothing where there is none."""
        return await self._answer(self._web3.eth.get_code(_checksummed(address), block_identifier=block), bytes)

    async def call(self, address: str, abi: Sequence[Any], name: str, *given: Any, block: int | str = "latest") -> Any:
        """Return what a function of a contract returns in a block."""

        async def _read() -> Any:
            contract = self._web3.eth.contract(address=_checksummed(address), abi=abi)
            return await contract.functions[name](*given).call(block_identifier=block, ccip_read_enabled=False)

        return await self._answer(_read(), lambda found: found)

    async def logs(
        self, address: str, abi: Sequence[Any], events: Sequence[str], first: int, last: int, given: dict[str, Any]
    ) -> list[Log]:
        """Return the events of a contract with these arguments in blocks from ``first`` to ``last``."""

        async def _read(name: str) -> list[Log]:
            event = self._web3.eth.contract(address=_checksummed(address), abi=abi).events[name]
            found = await event.get_logs(argument_filters=given, from_block=first, to_block=last)
            return [
                Log(
                    name,
                    dict(one["args"]),
                    int(one["blockNumber"]),
                    _hex(one["blockHash"]),
                    _hex(one["transactionHash"]),
                    int(one["logIndex"]),
                )
                for one in found
                if str(one["address"]).lower() == address.lower()
            ]

        return [one for name in events for one in await self._answer(_read(name), list)]

    async def sent_by(self, address: str) -> int:
        """Return how many transactions of an account are in blocks."""
        return await self._answer(self._web3.eth.get_transaction_count(_checksummed(address), "latest"), int)

    async def balance(self, address: str) -> int:
        """Return what an account has, in wei."""
        return await self._answer(self._web3.eth.get_balance(_checksummed(address)), int)

    async def tip(self) -> int:
        """Return what is usually paid on top of the base fee, wei for a unit of gas."""
        return await self._answer(self._web3.eth.max_priority_fee, int)

    async def gas_price(self) -> int:
        """Return what is usually paid where there is no base fee, wei for a unit of gas."""
        return await self._answer(self._web3.eth.gas_price, int)

    async def estimate(self, transaction: dict[str, Any]) -> int:
        """Return the gas that a transaction would take now."""
        return await self._answer(self._web3.eth.estimate_gas(transaction), int)

    async def send(self, raw: bytes) -> str:
        """Hand in a signed transaction, and return its hash."""
        return await self._answer(self._web3.eth.send_raw_transaction(raw), _hex)

    async def receipt(self, transaction: str) -> dict[str, Any] | None:
        """Return the receipt of a transaction; none while it is in no block."""
        try:
            return await self._answer(self._web3.eth.get_transaction_receipt(transaction), dict)
        except Refused:
            return None

    def address(self, text: str) -> str:
        """Return an address with its letters in the case that checks it (EIP-55)."""
        return str(_checksummed(text))

    def encoded(self, address: str, abi: Sequence[Any], name: str, *given: Any) -> str:
        """Return the data of a transaction that calls a function."""
        with _explained(self.name):
            contract = self._web3.eth.contract(address=_checksummed(address), abi=abi)
            return str(contract.encode_abi(name, args=list(given)))

    def deployment(self, abi: Sequence[Any], bytecode: str, *given: Any) -> str:
        """Return the data of a transaction that deploys a contract."""
        with _explained(self.name):
            return str(self._web3.eth.contract(abi=abi, bytecode=bytecode).constructor(*given).data_in_transaction)

    async def _answer(self, asking: Awaitable[Any], shaped: Callable[[Any], Answer]) -> Answer:
        with _explained(self.name):
            return shaped(await asking)


@contextmanager
def _explained(name: str) -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        raise LedgerUnavailable(f"node {name} did not answer in time") from None
    except (aiohttp.ClientError, OSError) as error:
        raise LedgerUnavailable(f"node {name} cannot be reached: {type(error).__name__}") from None
    except Web3Exception as error:
        raise Refused(f"node {name} refused: {_short(error)}") from None
    except _NONSENSE as error:
        raise LedgerUnavailable(f"node {name} answers nonsense: {_short(error)}") from None


def _short(error: Exception) -> str:
    text = "".join(letter if letter.isprintable() else " " for letter in str(error))
    return text[:300] or type(error).__name__


def _hex(raw: Any) -> str:
    return "0x" + bytes(raw).hex()


def _checksummed(address: str) -> Any:
    return AsyncWeb3.to_checksum_address(address)
