"""Following a ledger into a real store: once each, judged in order, and anew where the ledger takes something back."""

from typing import Any

import pytest
from sqlalchemy import text

from controlplane.contracts.events import Notice
from controlplane.identifiers.histories import Identity, founders
from controlplane.identifiers.names import device_id
from controlplane.identifiers.records import SignedRecord, sign_record
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


async def test_while_it_is_judged_anew_nobody_sees_devices_without_a_record(
    store: Store, board: BoardLedger, clinic: Organisation, silent: Silent, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [DeviceKey.generate() for _ in range(3)]
    await store.identities.begin(Author(clinic.did, clinic.key, FEDERATION, "board", Clock()))
    for key in keys:
        assert await store.devices.add(enrolled(key))
    await Publishing(board, store.identities, Clock()).publish()
    one, other = (follower(board, store, clinic, silent) for _ in range(2))
    await end(one)
    comparison = Comparison("board", store.ledgers, {clinic.did: Board(clinic).known[clinic.did]}, FEDERATION)
    found: list[object] = []
    left = store.ledgers.forget

    async def _compared(*stated: Any) -> Any:
        done = await left(*stated)
        found.extend(await comparison.of([device_id(key.thumbprint) for key in keys]))
        return done

    monkeypatch.setattr(store.ledgers, "forget", _compared)
    board.reorganise(2, [])
    before = await store.ledgers.read("board")
    await end(one)
    # Another replica, which saw the same a moment later, changes nothing of it.
    assert await left("board", before, "2", other._anew) is None
    assert found == []
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


async def test_a_record_is_never_published_without_those_that_it_follows(
    store: Store, board: BoardLedger, clinic: Organisation
) -> None:
    clock = Clock()
    await store.identities.begin(Author(clinic.did, clinic.key, FEDERATION, "board", clock))
    key, fresh = DeviceKey.generate(), DeviceKey.generate()
    await store.devices.add(enrolled(key))
    publishing = Publishing(board, store.identities, clock)
    await publishing.publish()
    # The chain took it back before it was final.
    board.reorganise(0, [])
    known = await store.identities.known(device_id(key.thumbprint))
    assert known is not None
    record = rotates(known, key, fresh, int(clock() * 1000)).read()
    await store.identities.rotate(known.subject, record, Notice(), clock())
    await publishing.publish()
    assert [one.read().statement.act for one in board.records] == ["registered", "rotated"]


async def test_what_others_write_in_our_name_makes_no_record_of_ours_final(
    store: Store, board: BoardLedger, clinic: Organisation, silent: Silent
) -> None:
    clock, key, fresh = Clock(), DeviceKey.generate(), DeviceKey.generate()
    await store.identities.begin(Author(clinic.did, clinic.key, FEDERATION, "board", clock))
    await store.devices.add(enrolled(key))
    known = await store.identities.known(device_id(key.thumbprint))
    assert known is not None
    rotated = rotates(known, key, fresh, int(clock() * 1000)).read()
    await store.identities.rotate(known.subject, rotated, Notice(), clock())
    [mine, _] = [one.record for one in await store.identities.outbox(10)]
    # The same words under another's signature, and ours before the one that it follows.
    forged = sign_record(mine.read().statement, DeviceKey.generate())
    board.records += [forged, rotated.signed]
    await end(follower(board, store, clinic, silent))
    assert silent.acts == []
    assert (await store.identities.waiting())[0] == 2
    comparison = Comparison("board", store.ledgers, {clinic.did: Board(clinic).known[clinic.did]}, FEDERATION)
    assert await comparison.of([known.subject]) == []


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


async def test_a_revocation_that_lost_to_a_rotation_is_made_again(
    store: Store, board: BoardLedger, clinic: Organisation, silent: Silent
) -> None:
    await store.identities.begin(Author(clinic.did, clinic.key, FEDERATION, "board", Clock()))
    key = DeviceKey.generate()
    assert await store.devices.add(enrolled(key))
    publishing = Publishing(board, store.identities, Clock())
    await publishing.publish()
    one, name = follower(board, store, clinic, silent), device_id(key.thumbprint)
    await end(one)
    before = (await one.known([name]))[name]
    # Whoever has the device's key and an account of a third writes first.
    await board.publish([rotates(before, key, DeviceKey.generate())])
    assert await store.devices.set_status(name, "revoked")
    [lost] = await publishing.publish()
    assert lost.read().statement.act == "revoked"
    await end(one)
    assert not (await one.known([name]))[name].is_revoked
    assert await store.identities.make_pending(vouches=False) == 1
    assert await publishing.publish() == []
    await end(one)
    known = (await one.known([name]))[name]
    assert (known.is_revoked, known.sequence) == (True, 2)


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


async def test_after_a_reorganisation_a_device_is_recorded_while_its_record_waits(
    store: Store, board: BoardLedger, clinic: Organisation, silent: Silent
) -> None:
    # The organisation is none that others pinned: a founder registered it, and the ledger takes that back as well.
    founder = Organisation("did:web:founder.example")
    author = Author(clinic.did, clinic.key, FEDERATION, "board", Clock())
    await store.identities.begin(author)
    admits = Author(founder.did, founder.key, FEDERATION, "board", Clock())
    await board.publish([admits.accepts(clinic.did, clinic.key.public)])
    key, thief = DeviceKey.generate(), DeviceKey.generate()
    await store.devices.add(enrolled(key))
    await Publishing(board, store.identities, Clock()).publish()
    await end(follower(board, store, founder, silent))
    own = Identity("issuer", clinic.did, clinic.did, author.public)
    comparison = Comparison("board", store.ledgers, founders({founder.did: founder.key.public}), FEDERATION, own)
    names = [device_id(key.thumbprint)]
    assert await comparison.of(names) == []
    board.reorganise(0, [])
    await end(follower(board, store, founder, silent))
    assert (await store.identities.waiting())[0] == 1
    assert await comparison.of(names) == []
    # Nobody but the organisation itself is believed about what waits.
    stranger = Identity("issuer", clinic.did, clinic.did, thief.public)
    other = Comparison("board", store.ledgers, founders({founder.did: founder.key.public}), FEDERATION, stranger)
    assert [one.kind for one in await other.of(names)] == ["unrecorded"]


async def test_what_is_not_final_in_time_is_late(store: Store, clinic: Organisation) -> None:
    clock = Clock()
    await store.identities.begin(Author(clinic.did, clinic.key, FEDERATION, "board", clock))
    await store.devices.add(enrolled(DeviceKey.generate()))
    comparison = Comparison("board", store.ledgers, {}, FEDERATION)
    assert await comparison.late(clock() + 60) == []
    assert [one.kind for one in await comparison.late(clock() + 600)] == ["late"]
    patient = Comparison("board", store.ledgers, {}, FEDERATION, late_seconds=700.0)
    assert await patient.late(clock() + 600) == []


def test_a_record_that_is_none_is_refused_and_changes_nothing() -> None:
    judged = fold([Anchored("0", SignedRecord(statement="e30.e30.e30"))], FEDERATION, {})
    assert [(one.refusal, one.subject) for one in judged] == [("unreadable", "")]
