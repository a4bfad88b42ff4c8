"""Following a ledger into a real store: once each, judged in order, and anew where the ledger takes something back."""

import pytest
from sqlalchemy import text

from controlplane.identifiers.names import device_id
from controlplane.identifiers.records import SignedRecord
from controlplane.identity.comparing import Comparison
from controlplane.identity.folding import fold
from controlplane.identity.following import AGAIN_SECONDS, Follower, Publishing
from controlplane.identity.ledgers.interface import Anchored, LedgerUnavailable
from controlplane.identity.organisation import Organisation as Author
from controlplane.jose.keys import DeviceKey
from controlplane.storage import Store
from tests.clocks import Clock
from tests.controlplane.identity.boards import BoardLedger
from tests.controlplane.identity.ledgers.people import FEDERATION, Board, Organisation, enrolled, rotates


class Silent:
    def __init__(self) -> None:
        self.acts: list[str] = []

    def identity_record(self, act: str) -> None:
        self.acts.append(act)


@pytest.fixture
def clinic() -> Organisation:
    return Organisation("did:web:clinic.example")


@pytest.fixture
def board() -> BoardLedger:
    return BoardLedger()


@pytest.fixture
def silent() -> Silent:
    return Silent()


def follower(board: BoardLedger, store: Store, clinic: Organisation, silent: Silent) -> Follower:
    return Follower(board, store.ledgers, {clinic.did: clinic.key.public}, FEDERATION, silent, Clock())


async def end(one: Follower) -> None:
    while await one.advance():
        pass


async def test_what_a_ledger_says_is_kept_once_whoever_follows(
    store: Store, board: BoardLedger, clinic: Organisation, silent: Silent
) -> None:
    keys = [DeviceKey.generate() for _ in range(3)]
    await board.publish([clinic.registers(key) for key in keys])
    await end(follower(board, store, clinic, silent))
    await end(follower(board, store, clinic, silent))
    known = await store.ledgers.known("board", [device_id(key.thumbprint) for key in keys])
    assert [one.key for one in known.values()] == [key.public for key in keys] or len(known) == 3
    assert (await store.ledgers.read("board")).records == 3
    assert silent.acts == ["registered"] * 3


async def test_of_two_who_follow_at_once_one_keeps_it(
    store: Store, board: BoardLedger, clinic: Organisation, silent: Silent
) -> None:
    await board.publish([clinic.registers(DeviceKey.generate())])
    before = await store.ledgers.read("board")
    first = follower(board, store, clinic, silent)
    assert len(await first.advance() or ()) == 1
    assert not await store.ledgers.keep("board", before, "1", [], [], 1.0)
    assert (await store.ledgers.read("board")).records == 1


async def test_what_a_ledger_takes_back_is_judged_anew_and_published_again(
    store: Store, board: BoardLedger, clinic: Organisation, silent: Silent
) -> None:
    author = Author(clinic.did, clinic.key, FEDERATION, "board", Clock())
    await store.identities.begin(author)
    key, fresh, other = DeviceKey.generate(), DeviceKey.generate(), DeviceKey.generate()
    assert await store.devices.add(enrolled(key))
    publishing = Publishing(board, store.identities, Clock())
    assert await publishing.publish() == []
    one = follower(board, store, clinic, silent)
    await end(one)
    reading = Board(clinic)
    reading.take(board.records)
    await board.publish([rotates(reading.of(key), key, fresh)])
    await end(one)
    assert (await one.known([device_id(key.thumbprint)]))[device_id(key.thumbprint)].key == fresh.public
    assert (await store.identities.waiting())[0] == 0
    # Deeper than it is held to be final: the registration itself is gone, and somebody else's is there.
    theirs = clinic.registers(other)
    board.reorganise(0, [theirs])
    await end(one)
    known = await one.known([device_id(key.thumbprint), device_id(other.thumbprint)])
    assert list(known) == [device_id(other.thumbprint)]
    assert (await store.identities.waiting())[0] == 1
    again = Publishing(board, store.identities, Clock())
    assert await again.publish() == []
    await end(one)
    assert (await one.known([device_id(key.thumbprint)]))[device_id(key.thumbprint)].key == key.public
    assert (await store.identities.waiting())[0] == 0


async def test_what_comes_before_what_was_taken_back_still_counts(
    store: Store, board: BoardLedger, clinic: Organisation, silent: Silent
) -> None:
    keys = [DeviceKey.generate() for _ in range(3)]
    await board.publish([clinic.registers(key) for key in keys])
    one = follower(board, store, clinic, silent)
    await end(one)
    board.reorganise(2, [])
    await end(one)
    known = await one.known([device_id(key.thumbprint) for key in keys])
    assert set(known) == {device_id(key.thumbprint) for key in keys[:2]}
    assert (await store.ledgers.read("board")).records == 2


async def test_while_the_ledger_is_down_nothing_is_lost(
    store: Store, board: BoardLedger, clinic: Organisation, silent: Silent
) -> None:
    await store.identities.begin(Author(clinic.did, clinic.key, FEDERATION, "board", Clock()))
    board.is_down = True
    key = DeviceKey.generate()
    assert await store.devices.add(enrolled(key))
    publishing = Publishing(board, store.identities, Clock())
    with pytest.raises(LedgerUnavailable):
        await publishing.publish()
    board.is_down = False
    assert await publishing.publish() == []
    await end(follower(board, store, clinic, silent))
    assert (await store.identities.waiting())[0] == 0


async def test_what_was_published_is_published_again_when_it_does_not_become_final(
    store: Store, board: BoardLedger, clinic: Organisation
) -> None:
    await store.identities.begin(Author(clinic.did, clinic.key, FEDERATION, "board", Clock()))
    await store.devices.add(enrolled(DeviceKey.generate()))
    clock = Clock()
    publishing = Publishing(board, store.identities, clock)
    for _ in range(3):
        await publishing.publish()
    assert board.published == 1
    clock.now += AGAIN_SECONDS
    await publishing.publish()
    assert (board.published, len(board.records)) == (2, 1)


async def test_what_another_was_faster_with_is_withdrawn_and_the_rest_is_published(
    store: Store, board: BoardLedger, clinic: Organisation, silent: Silent
) -> None:
    await store.identities.begin(Author(clinic.did, clinic.key, FEDERATION, "board", Clock(5000.0)))
    keys = [DeviceKey.generate() for _ in range(3)]
    theirs = clinic.registers(keys[1], time_ms=77)
    await board.publish([theirs])
    for key in keys:
        assert await store.devices.add(enrolled(key))
    lost = await Publishing(board, store.identities, Clock()).publish()
    assert [one.read().statement.subject for one in lost] == [device_id(keys[1].thumbprint)]
    await end(follower(board, store, clinic, silent))
    assert (await store.identities.waiting())[0] == 0
    known = await store.identities.known(device_id(keys[1].thumbprint))
    assert known is not None
    assert known.head == theirs.read().hash


async def test_on_another_ledger_everything_is_anchored_anew(
    store: Store, board: BoardLedger, clinic: Organisation, silent: Silent
) -> None:
    await store.identities.begin(Author(clinic.did, clinic.key, FEDERATION, "elsewhere", Clock()))
    await store.devices.add(enrolled(DeviceKey.generate()))
    await store._database.change("anchor", text("UPDATE identity_records SET anchored_at = 1"))
    await store.identities.begin(Author(clinic.did, clinic.key, FEDERATION, "board", Clock()))
    await Publishing(board, store.identities, Clock()).publish()
    assert len(board.records) == 1


async def test_a_device_that_waits_for_its_ledger_is_no_finding(
    store: Store, board: BoardLedger, clinic: Organisation
) -> None:
    await store.identities.begin(Author(clinic.did, clinic.key, FEDERATION, "board", Clock()))
    key = DeviceKey.generate()
    await store.devices.add(enrolled(key))
    known = {clinic.did: Board(clinic).known[clinic.did]}
    comparison = Comparison("board", store.ledgers, known, FEDERATION)
    assert await comparison.some() == []
    await store._database.change("forget", text("DELETE FROM identity_records"))
    assert [one.kind for one in [*await comparison.some(), *await comparison.some()]] == ["unrecorded"]
    assert [one.kind for one in await comparison.of([device_id(key.thumbprint)])] == ["unrecorded"]


async def test_what_is_not_final_in_time_is_late(store: Store, clinic: Organisation) -> None:
    clock = Clock()
    await store.identities.begin(Author(clinic.did, clinic.key, FEDERATION, "board", clock))
    await store.devices.add(enrolled(DeviceKey.generate()))
    comparison = Comparison("board", store.ledgers, {}, FEDERATION)
    assert await comparison.late(clock() + 60) == []
    assert [one.kind for one in await comparison.late(clock() + 600)] == ["late"]


def test_a_record_that_is_none_is_refused_and_changes_nothing() -> None:
    judged = fold([Anchored("0", SignedRecord(statement="e30.e30.e30"))], FEDERATION, {})
    assert [(one.refusal, one.subject) for one in judged] == [("unreadable", "")]
