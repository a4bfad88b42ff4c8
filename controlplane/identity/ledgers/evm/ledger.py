"""A contract on an EVM chain as a ledger: published to with transactions, followed block by block."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import structlog
from eth_utils import keccak

from controlplane.identifiers.records import Record, RecordInvalid, SignedRecord
from controlplane.identifiers.shown import encode_record
from controlplane.identity.ledgers.evm.agreeing import require_gone, require_same, still_so, unless_replaced
from controlplane.identity.ledgers.evm.counting import Counted, Counting
from controlplane.identity.ledgers.evm.cursors import Cursor, Seen, parse_cursor
from controlplane.identity.ledgers.evm.nodes import Node
from controlplane.identity.ledgers.evm.places import MOST_BYTES, decode_record, subject_key
from controlplane.identity.ledgers.evm.reading import MOST_ASKED, RECORDS, Entry, Final, Reading
from controlplane.identity.ledgers.evm.sending import Call, Sender
from controlplane.identity.ledgers.interface import (
    MOST_AT_ONCE,
    Anchored,
    Followed,
    LedgerUnavailable,
    RecordRejected,
)

_IN_A_TRANSACTION = 8
"""Records; the contract takes no more at once."""

_TRANSACTIONS = 8
"""That are on their way at once."""

_ROUNDS = 16

_PAGES = 4
"""That are read on while there is nothing in them but what is no record."""

_log = structlog.get_logger("ztfm.ledgers.evm")


@dataclass(frozen=True, slots=True)
class Terms:
    """How the chain is used; `settings.EvmSettings` says what each means."""

    chain: int
    contract: str
    confirmations: int | str = 12
    range_blocks: int = 2000
    deadline_seconds: float = 60.0
    behind_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class _Waiting:
    record: Record
    raw: bytes
    digest: bytes

    @property
    def place(self) -> tuple[str, int]:
        """Subject and sequence."""
        return self.record.statement.subject, self.record.statement.sequence


class EvmLedger:
    """The ledger. Several processes may share an account; each with its own is faster.

    Args:
        terms: how the chain is used.
        nodes: the first is asked; what is final has to be the same at the others.
        sender: that pays; none for whoever only reads.
        counting: which records count.
        clock: Unix seconds.
    """

    def __init__(
        self, terms: Terms, nodes: Sequence[Node], sender: Sender | None, counting: Counting, clock: Callable[[], float]
    ) -> None:
        if not nodes:
            raise ValueError("a chain is read through a node, at least")
        self._terms, self._nodes, self._sender = terms, tuple(nodes), sender
        self._counting, self._clock = counting, clock
        self._publishing = asyncio.Lock()
        self._checked: set[str] = set()

    @property
    def name(self) -> str:
        """``evm``."""
        return "evm"

    async def publish(self, records: Sequence[SignedRecord]) -> None:
        """Have records in blocks; one that is on the chain already costs nothing.

        A block may still be left behind by a reorganisation: what is not final yet is worth publishing again.

        Raises:
            LedgerUnavailable: no node answers, the account may not write or cannot pay, or no block took it in time.
            RecordRejected: another record of the same subject and sequence counts, and that is final; or it is none.
            LedgerLied: the node contradicts itself.
        """
        if len(records) > MOST_AT_ONCE:
            raise ValueError(f"{MOST_AT_ONCE} records are published at once, at most")
        sender = self._sender
        if sender is None:
            raise LedgerUnavailable("nobody pays for writing: name the account's key file in ZTFM_EVM_KEY_FILE")
        waiting, refusal = _prepared(records)
        async with self._publishing, self._reading() as readings:
            counted = await self._counted(readings[0], waiting)
            for number, one in enumerate(waiting):
                other = counted.get(one.place, one.record.hash)
                if other != one.record.hash:
                    waiting, refusal = (
                        waiting[:number],
                        RecordRejected(
                            f"another record {one.place[1]} of {one.place[0]} is on the chain: {other} counts, "
                            f"{one.record.hash} does not"
                        ),
                    )
                    break
            # Somebody may have signed the same twice; one of them is enough.
            await self._write(readings[0], sender, [one for one in waiting if one.place not in counted])
        if refusal is not None:
            raise refusal

    async def follow(self, cursor: str | None, limit: int = MOST_AT_ONCE) -> Followed:
        """Return final records after a cursor, each proven by the contract's state.

        Raises:
            LedgerUnavailable: a node does not answer, is behind, or the chain was reorganised meanwhile.
            LedgerLied: a node contradicts itself, another node, or what was read before ``cursor``.
            ValueError: the cursor is of another ledger.
        """
        at = parse_cursor(cursor, self._terms.chain, self._terms.contract)
        async with self._reading() as readings:
            reading = readings[0]
            final = await self._final(reading)
            async with unless_replaced(reading, final):
                kept = await still_so(reading, at, final)
                gone = at.seen[max(0, len(kept.seen) - 1)].name if kept != at and at.seen else None
                if kept != at:
                    await require_gone(readings, at, kept)
                found, after = await self._page(reading, kept, limit, final)
                await require_same(readings, final)
        return Followed(tuple(found), after.model_dump_json(), forget_from=gone)

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[list[Reading]]:
        try:
            async with asyncio.timeout(self._terms.deadline_seconds), AsyncExitStack() as stack:
                asked = [await stack.enter_async_context(node.asked()) for node in self._nodes]
                chain = await asked[0].chain()
                if chain != self._terms.chain:
                    raise LedgerUnavailable(
                        f"node {asked[0].name} follows chain {chain}, and ZTFM_EVM_CHAIN names {self._terms.chain}"
                    )
                terms = self._terms
                yield [Reading(one, terms.contract, terms.range_blocks, self._checked) for one in asked]
        except TimeoutError:
            raise LedgerUnavailable(
                f"the chain took more than the {self._terms.deadline_seconds:g} s of ZTFM_EVM_DEADLINE_SECONDS"
            ) from None

    async def _final(self, reading: Reading) -> Final:
        if self._terms.behind_seconds is not None:
            age = self._clock() - (await reading.node.block("latest")).time
            if age > self._terms.behind_seconds:
                raise LedgerUnavailable(f"node {reading.node.name} is behind: its newest block is {age:.0f} s old")
        return await reading.final(self._terms.confirmations)

    async def _page(self, reading: Reading, at: Cursor, limit: int, final: Final) -> tuple[list[Anchored], Cursor]:
        """Return the records that follow, and where to go on."""
        found: list[Anchored] = []
        for _ in range(_PAGES):
            entries = await self._after(reading, at, min(max(1, limit), MOST_ASKED - 1), final)
            if not entries:
                break
            found, at = _anchored(entries), at.after(*_seen(entries))
            if found:
                break
        return found, at

    async def _after(self, reading: Reading, at: Cursor, limit: int, final: Final) -> list[Entry]:
        amount = min(limit, final.count - at.number)
        if not final.is_there or amount <= 0:
            return []
        places = await reading.places(at.number, amount + 1, final)
        return await reading.entries(places, at.number + 1, final)

    async def _counted(self, reading: Reading, waiting: Sequence[_Waiting]) -> Counted:
        final = await self._final(reading)
        if not waiting or not final.is_there:
            return {}
        subjects = {one.place[0] for one in waiting}
        async with unless_replaced(reading, final):
            return await self._counting.counted(reading, final, subjects, self._terms.deadline_seconds / 4)

    async def _write(self, reading: Reading, sender: Sender, waiting: Sequence[_Waiting]) -> None:
        for _ in range(_ROUNDS):
            numbers = await reading.numbers([one.digest for one in waiting], "latest")
            missing = [one for one, number in zip(waiting, numbers, strict=True) if not number]
            if not missing:
                return
            await self._require_admitted(reading, sender)
            calls = [
                self._call(reading, missing[at : at + _IN_A_TRANSACTION])
                for at in range(0, len(missing), _IN_A_TRANSACTION)
            ]
            await sender.send(reading.node, calls[:_TRANSACTIONS])
        raise LedgerUnavailable(f"after {_ROUNDS} tries the chain has not taken all records")

    async def _require_admitted(self, reading: Reading, sender: Sender) -> None:
        if not await reading.call("mayWrite", sender.address):
            raise LedgerUnavailable(
                f"account {sender.address} may not write to {self._terms.contract}: have its administrator run "
                f"`ztfm identity ledger admit {sender.address}`"
            )
        if not await reading.node.balance(sender.address):
            gas = (await reading.node.block("latest")).base_fee
            if gas != 0:
                raise LedgerUnavailable(f"account {sender.address} has no coins left to pay with: send it some")

    def _call(self, reading: Reading, some: Sequence[_Waiting]) -> Call:
        subjects = [subject_key(one.record.statement.subject) for one in some]
        data = reading.node.encoded(self._terms.contract, RECORDS.abi, "publish", subjects, [one.raw for one in some])
        return Call(data, self._terms.contract)


def _prepared(records: Sequence[SignedRecord]) -> tuple[list[_Waiting], RecordRejected | None]:
    """Return what can be written, once each, up to the first that cannot, and why it cannot."""
    found: dict[bytes, _Waiting] = {}
    for signed in records:
        raw = encode_record(signed)
        try:
            record = signed.read()
        except RecordInvalid as error:
            return list(found.values()), RecordRejected(str(error))
        if len(raw) > MOST_BYTES:
            return list(found.values()), RecordRejected(f"record {record.hash} has more than {MOST_BYTES} bytes")
        digest = bytes(keccak(raw))
        found[digest] = _Waiting(record, raw, digest)
    return list(found.values()), None


def _anchored(entries: Sequence[Entry]) -> list[Anchored]:
    found = [
        Anchored(place=entry.name, record=record)
        for entry in entries
        if (record := decode_record(entry.raw)) is not None
    ]
    if len(found) < len(entries):
        _log.warning("evm_ledger_has_what_is_no_record", amount=len(entries) - len(found))
    return found


def _seen(entries: Sequence[Entry]) -> tuple[list[Seen], Seen]:
    """Return the first and the last record that were read, and the last that was read, be it a record or not."""
    shown = [entry for entry in entries if decode_record(entry.raw) is not None]
    ends = {entry.number: entry for entry in (*shown[:1], *shown[-1:])}
    return [_remembered(entry) for entry in ends.values()], _remembered(entries[-1])


def _remembered(entry: Entry) -> Seen:
    return Seen(number=entry.number, place=f"0x{entry.place:064x}", block=entry.log.block_hash, name=entry.name)
