"""``did:ethr`` for the resolver: an identity's changes are read from a chain, backwards, each naming the one before.

Set up by ``ZTFM_EVM_URL``, ``ZTFM_EVM_CHAIN`` and ``ZTFM_EVM_DIDS`` (docs/ledger-evm.md). Only what is final on the
chain counts. Every node that is named has to show the same; a node that contradicts the contract's state is not
believed.
"""

import asyncio
import os
import re
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import SECP256K1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from eth_utils import keccak, to_checksum_address

from controlplane.identifiers.didkey import read_multikey
from controlplane.identifiers.dids import DidInvalid, parse_did
from controlplane.identifiers.multibase import encode_base58
from controlplane.identity.ledgers.evm.compiled import load
from controlplane.identity.ledgers.evm.nodes import Asked, Block, Log, Node
from controlplane.identity.ledgers.evm.opening import nodes_of
from controlplane.identity.ledgers.evm.settings import EvmInvalid, EvmSettings
from controlplane.identity.ledgers.interface import LedgerUnavailable
from controlplane.identity.resolving.ethr_changes import (
    NOBODY,
    Account,
    AttributeChanged,
    Change,
    DelegateChanged,
    OwnerChanged,
    TooManyKeys,
    delegates_after,
    document_after,
    owner_after,
)
from controlplane.identity.resolving.interface import Found, NotResolved

MOST_BLOCKS = 128
"""Blocks with changes of one identity that are read. Who makes more is not resolved: anybody may make any number."""

_DIDS = load("dids")
_EVENTS = ("DIDOwnerChanged", "DIDDelegateChanged", "DIDAttributeChanged")
_NETWORKS = {"mainnet": 1, "sepolia": 11155111}
_SPECIFIC = re.compile(
    r"(?:(mainnet|sepolia|0x[1-9a-fA-F][0-9a-fA-F]{0,12}):)?0x([0-9a-fA-F]{40}|0[23][0-9a-fA-F]{64})"
)


class NodeLied(Exception):  # noqa: N818 - named for what happened
    """A node contradicts itself or another. The message says how."""


@dataclass(frozen=True, slots=True)
class _Seen:
    changes: tuple[Change, ...]
    last: int
    time: int


def parse_ethr(did: str) -> Account:
    """Return the identity that a ``did:ethr`` names. Without a chain it is on Ethereum's own.

    Raises:
        DidInvalid: it is none, or names a key that is no point.
    """
    parts = _SPECIFIC.fullmatch(parse_did(did, "ethr").specific)
    if parts is None:
        raise DidInvalid("a did:ethr is did:ethr:0xADDRESS or did:ethr:0xCHAIN:0xADDRESS, both in hexadecimal")
    named = parts[1] or "mainnet"
    chain = _NETWORKS[named] if named in _NETWORKS else int(named, 16)
    raw = bytes.fromhex(parts[2])
    if len(raw) == 20:
        return Account(did, chain, to_checksum_address(raw))
    try:
        point = EllipticCurvePublicKey.from_encoded_point(SECP256K1(), raw)
    except ValueError:
        raise DidInvalid("the did:ethr names a key that is no point on secp256k1") from None
    whole = point.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return Account(
        did,
        chain,
        to_checksum_address(keccak(whole[1:])[-20:]),
        read_multikey("z" + encode_base58(b"\xe7\x01" + raw)),
    )


class EthrMethod:
    """Reads identities from a chain.

    Args:
        nodes: the first is asked; the others must show the same.
        chain: number of the chain (EIP-155).
        contract: address of the registry (ERC-1056) on it.
        confirmations: after which a block counts as final, or ``finalized``.
        clock: Unix seconds.
    """

    name = "ethr"

    def __init__(
        self,
        nodes: Sequence[Node],
        chain: int,
        contract: str,
        confirmations: int | str,
        clock: Callable[[], float],
    ) -> None:
        if not nodes:
            raise ValueError("a chain is read through a node, at least")
        self._nodes, self._chain, self._contract = tuple(nodes), chain, contract
        self._confirmations, self._clock = confirmations, clock

    def is_computed(self, did: str) -> bool:
        """Never: whether an identity was given up is known to the chain alone."""
        return False

    def check(self, did: str) -> None:
        """Return if the identity is on the chain that is read.

        Raises:
            NotResolved: it is no did:ethr, or on another chain.
        """
        self._account(did)

    async def resolve(self, did: str) -> Found:
        """Return what an identity stands for as of the last final block.

        Raises:
            NotResolved: no node answers, one is not to be believed, or it has too many changes or keys.
        """
        account = self._account(did)
        try:
            seen = await self._seen(account)
            # A clock that is slow must not bring back what the chain says is over.
            document = document_after(account, seen.changes, max(self._clock(), seen.time))
        except LedgerUnavailable as error:
            raise NotResolved("internalError", str(error)) from None
        except NodeLied as error:
            raise NotResolved("internalError", f"{error}; look at who runs the nodes of ZTFM_EVM_URL") from None
        except TooManyKeys as error:
            raise NotResolved("invalidDidDocument", str(error)) from None
        is_over = owner_after(account, seen.changes) == NOBODY
        return Found(document, deactivated=is_over, version=str(seen.last) if seen.last else None)

    async def close(self) -> None:
        """Nothing is held."""

    def _account(self, did: str) -> Account:
        try:
            account = parse_ethr(did)
        except DidInvalid as error:
            raise NotResolved("invalidDid", str(error)) from None
        if account.chain != self._chain:
            raise NotResolved("notAllowed", f"it is on chain {account.chain}, and ZTFM_EVM_CHAIN names {self._chain}")
        return account

    async def _seen(self, account: Account) -> _Seen:
        async with AsyncExitStack() as stack:
            asked = [await stack.enter_async_context(node.asked()) for node in self._nodes]
            final = await self._final(asked[0])
            found = await asyncio.gather(*(self._read(one, account, final) for one in asked))
        for node, seen in zip(asked[1:], found[1:], strict=True):
            if seen != found[0]:
                raise NodeLied(f"nodes {asked[0].name} and {node.name} show different changes of {account.address}")
        return found[0]

    async def _final(self, node: Asked) -> Block:
        if await node.chain() != self._chain:
            raise LedgerUnavailable(f"node {node.name} follows another chain than ZTFM_EVM_CHAIN names")
        if isinstance(self._confirmations, str):
            return await node.block(self._confirmations)
        latest = await node.block("latest")
        return await node.block(max(0, latest.number - self._confirmations))

    async def _read(self, node: Asked, account: Account, final: Block) -> _Seen:
        if (await node.block(final.number)).hash != final.hash:
            raise NodeLied(f"node {node.name} has another block {final.number}")
        if not await node.code(self._contract, final.number):
            raise LedgerUnavailable(
                f"node {node.name} has no contract at {self._contract}: look at ZTFM_EVM_DIDS and ZTFM_EVM_CHAIN"
            )
        last = int(await self._call(node, "changed", account.address, final=final))
        changes = await self._walked(node, account, last, final)
        owner = to_checksum_address(await self._call(node, "identityOwner", account.address, final=final))
        expected = owner_after(account, changes)
        # The registry that was published first gives an identity that was given up back to its first key.
        if owner != expected and not (expected == NOBODY and owner == account.address):
            raise NodeLied(f"node {node.name} shows changes after which {expected} owns {account.address}, not {owner}")
        for purpose, delegate in sorted(delegates_after(changes, final.time)) if expected != NOBODY else ():
            word = purpose.encode().ljust(32, b"\0")
            if not await self._call(node, "validDelegate", account.address, word, delegate, final=final):
                raise NodeLied(f"node {node.name} leaves out that {delegate} is no delegate of {account.address}")
        if (await node.block(final.number)).hash != final.hash:
            raise LedgerUnavailable(f"block {final.number} was replaced while it was read")
        return _Seen(tuple(changes), last, final.time)

    async def _walked(self, node: Asked, account: Account, last: int, final: Block) -> list[Change]:
        """Return the changes of an identity, from the block of the last back to the first."""
        pages: list[list[Change]] = []
        block = last
        while block:
            if len(pages) == MOST_BLOCKS:
                raise TooManyKeys(f"changes in more than {MOST_BLOCKS} blocks, which is more than are read")
            if block > final.number:
                raise NodeLied(f"node {node.name} names a change in block {block}, which is not there yet")
            logs = await node.logs(self._contract, _DIDS.abi, _EVENTS, block, block, {"identity": account.address})
            logs.sort(key=lambda log: log.index)
            before = [int(log.arguments["previousChange"]) for log in logs]
            # All but the first in a block name that block itself.
            if not logs or before[0] >= block or any(one != block for one in before[1:]):
                raise NodeLied(f"node {node.name} leaves out changes of {account.address} in block {block}")
            pages.append([_change(log) for log in logs])
            block = before[0]
        return [change for page in reversed(pages) for change in page]

    async def _call(self, node: Asked, name: str, *given: object, final: Block) -> Any:
        return await node.call(self._contract, _DIDS.abi, name, *given, block=final.number)


def make_ethr() -> EthrMethod:
    """Return the method as environment variables ``ZTFM_EVM_*`` set it up.

    Raises:
        EvmInvalid: one is missing or wrong.
    """
    settings = EvmSettings.read(os.environ)
    if settings.dids is None:
        raise EvmInvalid("ZTFM_EVM_DIDS: name the contract of did:ethr; `ztfm identity ledger deploy` makes one")
    return EthrMethod(nodes_of(settings), settings.chain, settings.dids, settings.confirmations, time.time)


def _change(log: Log) -> Change:
    said = log.arguments
    if log.event == "DIDOwnerChanged":
        return OwnerChanged(to_checksum_address(said["owner"]))
    valid_to = int(said["validTo"])
    if log.event == "DIDDelegateChanged":
        return DelegateChanged(_word(said["delegateType"]), to_checksum_address(said["delegate"]), valid_to)
    return AttributeChanged(_word(said["name"]), bytes(said["value"]), valid_to)


def _word(raw: Any) -> str:
    return bytes(raw).rstrip(b"\0").decode("utf-8", "replace")
