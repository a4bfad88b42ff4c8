"""The EVM ledger where the suite of all ledgers does not look: reorganisations, nodes that lie, several writers."""

import asyncio
from typing import Any

import pytest
from eth_account import Account

from controlplane.identifiers.records import SignedRecord
from controlplane.identity.ledgers.evm import counting
from controlplane.identity.ledgers.evm.cursors import Cursor
from controlplane.identity.ledgers.evm.deploying import change_writer
from controlplane.identity.ledgers.evm.places import subject_key
from controlplane.identity.ledgers.evm.reading import RECORDS
from controlplane.identity.ledgers.evm.sending import Call, Sender
from controlplane.identity.ledgers.interface import LedgerLied, LedgerUnavailable, RecordRejected
from controlplane.jose.keys import DeviceKey
from tests.controlplane.identity.ledgers.evm.chains import Chain, Refusal, funded, node
from tests.controlplane.identity.ledgers.evm.ledgers import CONFIRMATIONS, Deployed
from tests.controlplane.identity.ledgers.evm.lies import lying
from tests.controlplane.identity.ledgers.people import Board, Organisation, follow_all, records, rotates


def made(issuer: Organisation, amount: int) -> list[SignedRecord]:
    return [issuer.registers(DeviceKey.generate()) for _ in range(amount)]


async def written(deployed: Deployed, issuer: Organisation, amount: int) -> list[SignedRecord]:
    """Records that are on the chain, each in a block of its own, and final."""
    found, writer = made(issuer, amount), await deployed.writer()
    for one in found:
        await writer.publish([one])
    await deployed.settle()
    return found


async def garbage(deployed: Deployed, subject: str, raw: bytes) -> None:
    """Have an admitted account write what is no record, as if it were one of somebody."""
    sender = await deployed.sender()
    async with node(deployed.chain).asked() as asked:
        data = asked.encoded(deployed.terms.contract, RECORDS.abi, "publish", [subject_key(subject)], [raw])
        await sender.send(asked, [Call(data, deployed.terms.contract)])


@pytest.mark.minutes
async def test_more_records_than_a_transaction_takes_are_there_once_and_in_order(
    deployed: Deployed, clinic: Organisation
) -> None:
    wanted = made(clinic, 67)
    await (await deployed.writer()).publish(wanted)
    await deployed.settle()
    found, cursor = await follow_all(deployed.reader(), limit=20)
    assert records(found) == wanted
    assert len(cursor) < 4096


async def test_a_block_is_not_final_before_as_many_follow_as_were_asked_for(
    deployed: Deployed, clinic: Organisation
) -> None:
    writer, reader = await deployed.writer(), deployed.reader()
    await writer.publish(made(clinic, 1))
    await deployed.chain.mine(CONFIRMATIONS - 1)
    assert (await reader.follow(None)).anchored == ()
    await deployed.chain.mine(1)
    assert len((await reader.follow(None)).anchored) == 1


async def test_what_a_reorganisation_took_back_is_named_and_what_replaced_it_is_read(
    deployed: Deployed, clinic: Organisation
) -> None:
    kept = await written(deployed, clinic, 3)
    before = await deployed.chain.snapshot()
    gone = await written(deployed, clinic, 2)
    reader = deployed.reader()
    read, cursor = [], None
    for _ in range(5):
        some = await reader.follow(cursor, 1)
        read, cursor = [*read, *some.anchored], some.cursor
    assert records(read) == [*kept, *gone]
    await deployed.chain.revert(before)
    instead = await written(deployed, clinic, 1)
    await deployed.chain.mine(8)
    told = await reader.follow(cursor, 1)
    assert told.forget_from in [one.place for one in read]
    left = read[: [one.place for one in read].index(told.forget_from)]
    assert records(left) == kept[: len(left)]
    assert told.anchored, "whoever follows is not left without the records in between"
    more, after = await follow_all(reader, told.cursor)
    assert records([*left, *told.anchored, *more]) == [*kept, *instead]
    # It is told once.
    assert (await reader.follow(after)).forget_from is None


async def test_a_reorganisation_of_everything_begins_anew(deployed: Deployed, clinic: Organisation) -> None:
    empty = await deployed.chain.snapshot()
    await written(deployed, clinic, 2)
    reader = deployed.reader()
    read, cursor = await follow_all(reader)
    await deployed.chain.revert(empty)
    instead = await written(deployed, clinic, 3)
    told = await reader.follow(cursor)
    assert told.forget_from == read[0].place
    assert records(told.anchored) == instead


async def test_after_a_reorganisation_what_was_published_can_be_published_again(
    deployed: Deployed, clinic: Organisation
) -> None:
    sender = await deployed.sender()
    writer, record = deployed.ledger(sender=sender), made(clinic, 1)
    before = await deployed.chain.snapshot()
    await writer.publish(record)
    await deployed.chain.revert(before)
    await writer.publish(record)
    await deployed.settle()
    found, _ = await follow_all(deployed.reader())
    assert records(found) == record


async def test_a_chain_that_is_shorter_than_it_was_is_not_believed_yet(
    deployed: Deployed, clinic: Organisation
) -> None:
    before = await deployed.chain.snapshot()
    await written(deployed, clinic, 2)
    _, cursor = await follow_all(deployed.reader())
    await deployed.chain.revert(before)
    with pytest.raises(LedgerUnavailable, match="behind"):
        await deployed.reader().follow(cursor)


def forgetful(count: int) -> Any:
    """A node that denies everything after so many records: in the state, and so in the events."""

    def twist(method: str, asked: Any, answer: Any) -> Any:
        if method == "eth_getLogs":
            return [one for one in answer if int.from_bytes(bytes.fromhex(_hex(one["topics"][1])), "big") <= count]
        if method != "eth_call" or not _data(asked).startswith("06661abd"):
            return answer
        return "0x" + count.to_bytes(32, "big").hex()

    return twist


def _hex(value: Any) -> str:
    return value.removeprefix("0x") if isinstance(value, str) else bytes(value).hex()


def _data(asked: Any) -> str:
    return _hex(asked[0].get("data") or asked[0].get("input"))


async def test_a_node_that_lies_about_the_state_too_is_caught_by_another(
    deployed: Deployed, clinic: Organisation
) -> None:
    await written(deployed, clinic, 3)
    alone = deployed.reader(forgetful(2))
    some = await alone.follow(None)
    assert len(some.anchored) == 2, "one node that lies consistently is believed, which is why there should be two"
    with pytest.raises(LedgerLied, match="different records"):
        await deployed.reader(forgetful(2), None).follow(None)
    with pytest.raises(LedgerLied, match="different records"):
        await deployed.reader(None, forgetful(2)).follow(None)


async def test_a_node_on_another_chain_is_caught_by_another(deployed: Deployed, clinic: Organisation) -> None:
    await written(deployed, clinic, 1)

    def other(method: str, _asked: Any, answer: Any) -> Any:
        return {**answer, "hash": "0x" + "1" * 64} if method == "eth_getBlockByNumber" else answer

    with pytest.raises(LedgerLied, match="different blocks"):
        await deployed.reader(None, other).follow(None)


async def test_a_reorganisation_that_another_node_has_not_seen_is_a_lie(
    deployed: Deployed, clinic: Organisation
) -> None:
    await written(deployed, clinic, 2)
    _, cursor = await follow_all(deployed.reader())
    await deployed.chain.mine(2)
    read = Cursor.model_validate_json(cursor).seen[-1].block

    def pretends(method: str, _asked: Any, answer: Any) -> Any:
        is_it = method == "eth_getBlockByNumber" and "0x" + _hex(answer["hash"]) == read
        return {**answer, "hash": "0x" + "1" * 64} if is_it else answer

    assert (await deployed.reader(pretends).follow(cursor)).forget_from is not None
    with pytest.raises(LedgerLied, match="has not"):
        await deployed.reader(pretends, None).follow(cursor)


async def test_what_a_reorganisation_explains_is_no_lie(deployed: Deployed, clinic: Organisation) -> None:
    await written(deployed, clinic, 2)
    has_lied = []

    def replaced(method: str, _asked: Any, answer: Any) -> Any:
        if method == "eth_getLogs":
            has_lied.append(True)
            return []
        if method == "eth_getBlockByNumber" and has_lied:
            return {**answer, "hash": "0x" + "1" * 64}
        return answer

    with pytest.raises(LedgerUnavailable, match="was replaced"):
        await deployed.reader(replaced).follow(None)
    assert has_lied


async def test_a_node_that_shows_less_than_it_did_contradicts_the_cursor(
    deployed: Deployed, clinic: Organisation
) -> None:
    await written(deployed, clinic, 3)
    _, cursor = await follow_all(deployed.reader())
    with pytest.raises(LedgerLied, match="another record 3"):
        await deployed.reader(forgetful(2)).follow(cursor)


async def test_a_lie_is_caught_in_any_page_and_names_the_record(deployed: Deployed, clinic: Organisation) -> None:
    await written(deployed, clinic, 4)
    liar = deployed.reader(lying("omits", 2))
    first = await liar.follow(None, 2)
    assert len(first.anchored) == 2
    with pytest.raises(LedgerLied, match="record 3"):
        await liar.follow(first.cursor, 1)


async def test_a_node_that_takes_only_small_ranges_is_asked_for_those(deployed: Deployed, clinic: Organisation) -> None:
    wanted = await written(deployed, clinic, 4)
    asked_for = []

    def narrow(method: str, asked: Any, answer: Any) -> Any:
        if method == "eth_getLogs":
            first, last = (int(str(asked[0][name]), 0) for name in ("fromBlock", "toBlock"))
            asked_for.append(last - first + 1)
            if first != last:
                raise Refusal("query returned more than 10000 results")
        return answer

    found, _ = await follow_all(deployed.ledger(deployed.node(narrow), range_blocks=100))
    assert records(found) == wanted
    assert max(asked_for) > 1


async def test_garbage_keeps_no_record_out_and_is_not_handed_on(deployed: Deployed, clinic: Organisation) -> None:
    (record,) = made(clinic, 1)
    subject = record.read().statement.subject
    await garbage(deployed, subject, b"{}")
    await garbage(deployed, subject, b"\xff" * 100)
    await (await deployed.writer()).publish([record])
    await garbage(deployed, subject, b"[]")
    await deployed.settle()
    found, cursor = await follow_all(deployed.reader(), limit=1)
    assert records(found) == [record]
    (later,) = await written(deployed, clinic, 1)
    more, _ = await follow_all(deployed.reader(), cursor)
    assert records(more) == [later]


async def test_where_only_garbage_was_taken_back_no_record_is_missed_or_read_twice(
    deployed: Deployed, clinic: Organisation
) -> None:
    await garbage(deployed, "somebody", b"{}")
    kept = await written(deployed, clinic, 1)
    before = await deployed.chain.snapshot()
    await garbage(deployed, "somebody", b"[]")
    await deployed.settle()
    read, cursor = await follow_all(deployed.reader())
    await deployed.chain.revert(before)
    instead = await written(deployed, clinic, 1)
    await deployed.chain.mine(8)
    told = await deployed.reader().follow(cursor)
    left = [] if told.forget_from == read[0].place else read
    more, _ = await follow_all(deployed.reader(), told.cursor)
    assert records([*left, *told.anchored, *more]) == [*kept, *instead]


async def test_a_second_signature_over_the_same_statement_is_not_written_again(
    deployed: Deployed, clinic: Organisation
) -> None:
    key = DeviceKey.generate()
    once, again = clinic.registers(key), clinic.registers(key)
    assert once != again and once.read().hash == again.read().hash
    writer = await deployed.writer()
    await writer.publish([once])
    await deployed.settle()
    await writer.publish([again])
    await deployed.settle()
    found, _ = await follow_all(deployed.reader())
    assert records(found) == [once]


async def test_records_before_one_that_lost_are_written_and_those_after_are_not(
    deployed: Deployed, clinic: Organisation, homes: Organisation
) -> None:
    key, board = DeviceKey.generate(), Board(clinic, homes)
    registered = clinic.registers(key)
    board.take([registered])
    won, lost = clinic.revokes(board.of(key)), rotates(board.of(key), key, DeviceKey.generate())
    writer = await deployed.writer()
    await writer.publish([registered, won])
    await deployed.settle()
    before, after = made(clinic, 2)
    with pytest.raises(RecordRejected, match=won.read().hash):
        await writer.publish([before, lost, after])
    await deployed.settle()
    found, _ = await follow_all(deployed.reader())
    assert records(found) == [registered, won, before]


async def test_who_lost_is_found_among_many(
    deployed: Deployed, clinic: Organisation, homes: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, board = [DeviceKey.generate() for _ in range(12)], Board(clinic, homes)
    board.take(registered := [clinic.registers(key) for key in keys])
    rotated = [rotates(board.of(key), key, DeviceKey.generate()) for key in keys]
    won = clinic.revokes(board.of(keys[7]))
    writer = await deployed.writer()
    await writer.publish([*registered, won])
    await deployed.settle()
    with pytest.raises(RecordRejected, match=won.read().hash):
        await writer.publish(rotated)
    # Beyond a bound nobody is told: it is written, and changes nothing for whoever reads.
    monkeypatch.setattr(counting, "MOST_LOOKED_UP", 5)
    await writer.publish(rotated)
    await deployed.settle()
    seen = Board(clinic, homes)
    seen.take(records((await follow_all(deployed.reader()))[0]))
    assert [name for name, _ in seen.refused] == [rotated[7].read().hash]
    assert seen.of(keys[7]).is_revoked and not seen.of(keys[8]).is_revoked


async def test_two_writers_at_once_get_all_of_theirs_in(deployed: Deployed, clinic: Organisation) -> None:
    batches = [made(clinic, 9) for _ in range(2)]
    writers = [await deployed.writer() for _ in batches]
    await asyncio.gather(*(writer.publish(batch) for writer, batch in zip(writers, batches, strict=True)))
    await deployed.settle()
    found = records((await follow_all(deployed.reader()))[0])
    assert len(found) == 18
    for batch in batches:
        assert [one for one in found if one in batch] == batch


async def test_two_processes_with_one_account_get_all_of_theirs_in(deployed: Deployed, clinic: Organisation) -> None:
    sender = await deployed.sender()
    batches = [made(clinic, 5) for _ in range(3)]
    await asyncio.gather(*(deployed.ledger(sender=sender).publish(batch) for batch in batches))
    await deployed.settle()
    found = records((await follow_all(deployed.reader()))[0])
    assert sorted(one.statement for one in found) == sorted(one.statement for batch in batches for one in batch)


async def test_two_who_write_the_same_record_at_once_write_it_once(deployed: Deployed, clinic: Organisation) -> None:
    same = made(clinic, 3)
    writers = [await deployed.writer() for _ in range(2)]
    await asyncio.gather(*(writer.publish(same) for writer in writers))
    await deployed.settle()
    found, _ = await follow_all(deployed.reader())
    assert records(found) == same


async def test_who_is_not_admitted_writes_nothing_and_is_told_what_to_do(
    deployed: Deployed, clinic: Organisation
) -> None:
    stranger = await funded(deployed.chain)
    with pytest.raises(LedgerUnavailable, match=f"ztfm identity ledger admit {stranger.address}"):
        await deployed.ledger(sender=stranger).publish(made(clinic, 1))
    sender = await deployed.sender()
    async with node(deployed.chain).asked() as asked:
        await change_writer(asked, deployed.administrator, deployed.terms.contract, sender.address, "dismiss")
    with pytest.raises(LedgerUnavailable, match="may not write"):
        await deployed.ledger(sender=sender).publish(made(clinic, 1))
    await deployed.settle()
    assert (await deployed.reader().follow(None)).anchored == ()


async def test_who_cannot_pay_is_told_so(deployed: Deployed, clinic: Organisation) -> None:
    poor = Sender(Account.create(), deployed.chain.number, 500.0)
    async with node(deployed.chain).asked() as asked:
        await change_writer(asked, deployed.administrator, deployed.terms.contract, poor.address, "admit")
    with pytest.raises(LedgerUnavailable, match="no coins"):
        await deployed.ledger(sender=poor).publish(made(clinic, 1))


async def test_nothing_is_sent_beyond_what_may_be_paid(deployed: Deployed, clinic: Organisation) -> None:
    sender = await deployed.sender()
    frugal = Sender(sender._account, deployed.chain.number, 0.000001)
    with pytest.raises(LedgerUnavailable, match="ZTFM_EVM_MOST_FEE_GWEI"):
        await deployed.ledger(sender=frugal).publish(made(clinic, 1))
    await deployed.settle()
    assert (await deployed.reader().follow(None)).anchored == ()


async def test_another_chain_is_neither_read_nor_signed_for(deployed: Deployed, clinic: Organisation) -> None:
    with pytest.raises(LedgerUnavailable, match="ZTFM_EVM_CHAIN"):
        await deployed.ledger(chain=1).follow(None)
    with pytest.raises(LedgerUnavailable, match="ZTFM_EVM_CHAIN"):
        await deployed.ledger(chain=1, sender=await deployed.sender()).publish(made(clinic, 1))


async def test_a_contract_that_is_none_of_ours_is_not_asked(deployed: Deployed) -> None:
    with pytest.raises(LedgerUnavailable, match="ZTFM_EVM_RECORDS"):
        await deployed.ledger(contract="0x" + "12" * 20).follow(None)

    def other(method: str, _asked: Any, answer: Any) -> Any:
        return "0x60006000" if method == "eth_getCode" else answer

    with pytest.raises(LedgerUnavailable, match="ZTFM_EVM_RECORDS"):
        await deployed.reader(other).follow(None)


async def test_a_cursor_of_another_contract_is_refused(deployed: Deployed, clinic: Organisation) -> None:
    await written(deployed, clinic, 1)
    _, cursor = await follow_all(deployed.reader())
    with pytest.raises(ValueError, match="another chain or contract"):
        await deployed.ledger(contract="0x" + "12" * 20).follow(cursor)


async def test_a_node_that_has_no_new_blocks_is_behind_where_a_bound_is_set(
    deployed: Deployed, clinic: Organisation
) -> None:
    await written(deployed, clinic, 1)
    async with node(deployed.chain).asked() as asked:
        newest = (await asked.block("latest")).time
    fresh = deployed.ledger(clock=newest + 50.0, behind_seconds=60.0)
    assert len((await fresh.follow(None)).anchored) == 1
    with pytest.raises(LedgerUnavailable, match="behind"):
        await deployed.ledger(clock=newest + 70.0, behind_seconds=60.0).follow(None)


async def test_the_chains_own_word_for_final_can_be_used(chain: Chain, deployed: Deployed) -> None:
    assert (await deployed.ledger(confirmations="finalized").follow(None)).anchored == ()
