"""What every kind of ledger does: one suite, whatever lies beneath.

The fixture ``under_test`` gives each test an empty ledger of each kind in `conformance.KINDS`; how a kind takes part is
said in `conformance.py`.
"""

import asyncio
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import get_args

import pytest

from controlplane.identifiers.names import device_id
from controlplane.identity.following import Follower, Publishing
from controlplane.identity.ledgers.interface import LedgerLied, RecordRejected
from controlplane.identity.organisation import Organisation as Author
from controlplane.jose.keys import DeviceKey
from controlplane.storage import open_store
from tests.controlplane.identity.ledgers.conformance import FEDERATION, LedgerUnderTest, Lie
from tests.controlplane.identity.ledgers.people import (
    Board,
    Organisation,
    Uncounted,
    follow_all,
    records,
    rotates,
)


async def test_a_device_is_registered_rotates_and_is_revoked_and_its_history_is_kept(
    under_test: LedgerUnderTest, clinic: Organisation, homes: Organisation
) -> None:
    writer, board = await under_test.writer(), Board(clinic, homes)
    key, fresh = DeviceKey.generate(), DeviceKey.generate()
    written = []
    for make in (
        lambda: clinic.registers(key),
        lambda: rotates(board.of(key), key, fresh),
        lambda: clinic.revokes(board.of(key)),
    ):
        written.append(make())
        board.take(written[-1:])
        await writer.publish(written[-1:])
    await under_test.settle()
    found, _ = await follow_all(await under_test.reader())
    assert records(found) == written
    assert len({one.place for one in found}) == 3
    seen = Board(clinic, homes)
    seen.take(records(found))
    assert seen.known == board.known
    assert (seen.of(key).is_revoked, seen.of(key).key, seen.refused) == (True, fresh.public, [])


async def test_nothing_is_read_of_a_ledger_that_is_empty(under_test: LedgerUnderTest) -> None:
    reader = await under_test.reader()
    found = await reader.follow(None)
    assert (found.anchored, found.forget_from) == ((), None)
    assert (await reader.follow(found.cursor)).anchored == ()


async def test_what_is_not_settled_is_not_final(under_test: LedgerUnderTest, clinic: Organisation) -> None:
    writer, reader = await under_test.writer(), await under_test.reader()
    await writer.publish([clinic.registers(DeviceKey.generate())])
    await under_test.settle()
    first, cursor = await follow_all(reader)
    await writer.publish([clinic.registers(DeviceKey.generate())])
    before, cursor = await follow_all(reader, cursor)
    await under_test.settle()
    after, _ = await follow_all(reader, cursor)
    assert len(first) == 1
    # It may have become final by itself; it is read once, never twice.
    assert len(before) + len(after) == 1


async def test_a_reader_goes_on_where_it_stopped_whatever_the_page(
    under_test: LedgerUnderTest, clinic: Organisation
) -> None:
    written = [clinic.registers(DeviceKey.generate()) for _ in range(7)]
    await (await under_test.writer()).publish(written)
    await under_test.settle()
    some = await (await under_test.reader()).follow(None, 3)
    rest, _ = await follow_all(await under_test.reader(), some.cursor, 2)
    assert [*records(some.anchored), *records(rest)] == written


async def test_a_record_that_is_published_again_is_there_once(
    under_test: LedgerUnderTest, clinic: Organisation
) -> None:
    one, other = (clinic.registers(DeviceKey.generate()) for _ in range(2))
    writer = await under_test.writer()
    await writer.publish([one])
    await writer.publish([one, other])
    await under_test.settle()
    await (await under_test.writer()).publish([other, one])
    await under_test.settle()
    found, _ = await follow_all(await under_test.reader())
    assert records(found) == [one, other]


async def test_of_two_who_write_the_same_place_one_wins_and_everybody_agrees_which(
    under_test: LedgerUnderTest, clinic: Organisation, homes: Organisation
) -> None:
    key, board = DeviceKey.generate(), Board(clinic, homes)
    registered = clinic.registers(key)
    board.take([registered])
    await (await under_test.writer()).publish([registered])
    await under_test.settle()
    rivals = [rotates(board.of(key), key, DeviceKey.generate()), clinic.revokes(board.of(key))]
    writers = [await under_test.writer() for _ in rivals]
    outcomes = await asyncio.gather(
        *(writer.publish([rival]) for writer, rival in zip(writers, rivals, strict=True)), return_exceptions=True
    )
    await under_test.settle()
    lost = [isinstance(one, RecordRejected) for one in outcomes]
    assert all(one is None or isinstance(one, RecordRejected) for one in outcomes)
    seen = []
    for _ in range(2):
        found, _ = await follow_all(await under_test.reader())
        reading = Board(clinic, homes)
        reading.take(records(found))
        seen.append(reading)
    assert seen[0].known == seen[1].known
    # The winner is what was not rejected; were both taken, the one that came second changed nothing for anybody.
    winner = next(number for number, rival in enumerate(rivals) if rival.read().hash == seen[0].of(key).head)
    assert not lost[winner]
    assert lost[1 - winner] or [name for name, _ in seen[0].refused] == [rivals[1 - winner].read().hash]
    assert board.of(key).head != seen[0].of(key).head
    # Whoever lost learns so when trying again, whatever it was told at first.
    with pytest.raises(RecordRejected):
        await writers[1 - winner].publish([rivals[1 - winner]])


async def test_what_nobody_may_write_can_lie_there_and_changes_nothing(
    under_test: LedgerUnderTest, clinic: Organisation, homes: Organisation
) -> None:
    key, theirs = DeviceKey.generate(), DeviceKey.generate()
    registered = clinic.registers(key)
    board = Board(clinic, homes)
    board.take([registered])
    forged = rotates(board.of(key), theirs, theirs)
    writer = await under_test.writer()
    await writer.publish([registered])
    await writer.publish([forged])
    await under_test.settle()
    found, _ = await follow_all(await under_test.reader())
    seen = Board(clinic, homes)
    seen.take(records(found))
    assert seen.of(key).key == key.public
    assert [cause for _, cause in seen.refused] == ["not_signed_by_author"]


@pytest.mark.parametrize("lie", get_args(Lie))
@pytest.mark.parametrize("number", [0, 2])
async def test_who_lies_about_a_record_is_caught(
    under_test: LedgerUnderTest, clinic: Organisation, lie: Lie, number: int
) -> None:
    written = [clinic.registers(DeviceKey.generate()) for _ in range(5)]
    writer = await under_test.writer()
    for one in written:
        await writer.publish([one])
    await under_test.settle()
    with pytest.raises(LedgerLied):
        await follow_all(await under_test.liar(lie, number))


async def test_a_record_that_was_withheld_is_missed_at_the_latest_when_it_is_shown(
    under_test: LedgerUnderTest, clinic: Organisation
) -> None:
    writer = await under_test.writer()
    for _ in range(3):
        await writer.publish([clinic.registers(DeviceKey.generate())])
    await under_test.settle()
    try:
        _, cursor = await follow_all(await under_test.liar("omits", 2))
    except LedgerLied:
        return
    with pytest.raises(LedgerLied):
        await follow_all(await under_test.reader(), cursor)


async def test_two_readers_who_are_shown_different_things_find_out_by_a_cursor(
    under_test: LedgerUnderTest, clinic: Organisation
) -> None:
    writer = await under_test.writer()
    await writer.publish([clinic.registers(DeviceKey.generate())])
    await under_test.settle()
    other = await under_test.other_view()
    await writer.publish([clinic.registers(DeviceKey.generate()) for _ in range(2)])
    await under_test.settle()
    _, cursor = await follow_all(await under_test.reader())
    try:
        found = await other.follow(cursor)
    except LedgerLied:
        return
    # A chain may have been reorganised in good faith; then what no longer counts is named.
    assert found.forget_from is not None


_KILLED = """
import asyncio, os, signal, sys, time
from controlplane.identity.organisation import Organisation
from controlplane.jose.keys import DeviceKey
from controlplane.storage import open_store
from tests.controlplane.identity.ledgers.people import enrolled

async def main():
    url, did, kind, federation = sys.argv[1:]
    store = await open_store(url)
    key = DeviceKey.from_pem(sys.stdin.buffer.read())
    await store.identities.begin(Organisation(did, key, federation, kind, time.time))
    device = DeviceKey.generate()
    assert await store.devices.add(enrolled(device))
    print(device.thumbprint, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_a_process_that_is_killed_between_write_and_anchor_leaves_nothing_out(
    under_test: LedgerUnderTest, clinic: Organisation, homes: Organisation, tmp_path: Path
) -> None:
    ledger = await under_test.writer()
    url = getattr(under_test, "database", f"sqlite+aiosqlite:///{tmp_path / 'plane.db'}")
    given = [sys.executable, "-c", _KILLED, url, clinic.did, ledger.name, FEDERATION]
    ended = await asyncio.to_thread(
        subprocess.run, given, input=clinic.key.to_pem(), stdout=subprocess.PIPE, timeout=60, check=False
    )
    assert ended.returncode == -signal.SIGKILL
    name = device_id(ended.stdout.decode().strip())
    store = await open_store(url)
    try:
        await store.identities.begin(Author(clinic.did, clinic.key, FEDERATION, ledger.name, time.time))
        for _ in range(2):
            # It is published once more by whoever comes next, and a second time after another crash.
            assert await Publishing(ledger, store.identities, time.time).publish() == []
        await under_test.settle()
        found, _ = await follow_all(await under_test.reader())
        seen = Board(clinic, homes)
        seen.take(records(found))
        assert [one.subject for one in seen.known.values() if one.kind == "device"] == [name]
        assert (len(found), seen.refused) == (1, [])
        follower = Follower(ledger, store.ledgers, {clinic.did: clinic.key.public}, FEDERATION, Uncounted(), time.time)
        while await follower.advance():
            pass
        assert (await store.identities.waiting())[0] == 0
        assert name in await follower.known([name])
    finally:
        await store.close()


async def test_a_cursor_of_nobody_is_refused(under_test: LedgerUnderTest) -> None:
    reader = await under_test.reader()
    for cursor in ("", "0", "{}", "x" * 5000, '{"size": -1}', "null", "[1]"):
        with pytest.raises(ValueError, match="cursor"):
            await reader.follow(cursor)
