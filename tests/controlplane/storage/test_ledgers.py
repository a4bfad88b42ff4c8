"""What was followed of a ledger, in a store: kept once, forgotten from a place on, judged anew."""

from collections.abc import Callable, Sequence

from controlplane.contracts.identity import Device
from controlplane.identifiers.followed import FollowedRecord, Read
from controlplane.identifiers.histories import Identity
from controlplane.identifiers.records import SignedRecord
from controlplane.identity.organisation import Organisation
from controlplane.jose.keys import DeviceKey
from controlplane.storage import Store
from tests.clocks import Clock

New = Callable[..., Device]
CLINIC = "did:web:clinic.example"


def author(clock: Clock | None = None) -> Organisation:
    return Organisation(CLINIC, DeviceKey.generate(), "default", "board", clock or Clock())


def registered(one: Organisation, key: DeviceKey) -> SignedRecord:
    return one.registers(f"dev-{key.thumbprint}", key.public)


def followed(number: int, signed: SignedRecord, refusal: str = "") -> FollowedRecord:
    record = signed.read()
    return FollowedRecord(str(number), record.statement.subject, record.hash, refusal, signed)


def identity(signed: SignedRecord) -> Identity:
    record = signed.read()
    said = record.statement
    assert said.key is not None
    return Identity(said.kind, said.subject, said.issuer, said.key, head=record.hash)


async def test_a_page_is_kept_once(store: Store, replica: Store) -> None:
    signed = [registered(author(), DeviceKey.generate()) for _ in range(3)]
    page = [followed(number, one) for number, one in enumerate(signed)]
    known = [identity(one) for one in signed]
    assert await store.ledgers.keep("board", Read(), "c1", page, known, 1.0)
    assert not await replica.ledgers.keep("board", Read(), "c1", page, known, 2.0)
    assert await replica.ledgers.read("board") == Read("c1", 3, 1.0)
    assert await replica.ledgers.keep("board", Read("c1", 3), "c2", [], [], 3.0)
    assert [one.place for one in await store.ledgers.records("board", 1)] == ["1", "2"]
    assert await store.ledgers.known("board", [known[0].subject]) == {known[0].subject: known[0]}
    assert await store.ledgers.known("elsewhere", [known[0].subject]) == {}


async def test_what_is_taken_back_is_forgotten_and_ours_is_to_be_anchored_again(store: Store, new_device: New) -> None:
    made = author()
    await store.identities.begin(made)
    device = new_device()
    assert await store.devices.add(device)
    [mine] = await store.identities.outbox(10)
    theirs = registered(made, DeviceKey.generate())
    page = [followed(0, theirs), followed(1, mine.record)]
    await store.ledgers.keep("board", Read(), "c1", page, [identity(theirs), identity(mine.record)], 1.0)
    assert (await store.identities.waiting())[0] == 0

    def judge(
        left: Sequence[FollowedRecord], known: dict[str, Identity]
    ) -> tuple[list[FollowedRecord], list[Identity]]:
        assert (left, known) == ([followed(0, theirs)], {})
        return [followed(0, theirs, "wrong_name")], [identity(theirs)]

    assert await store.ledgers.forget("board", Read("c0", 2), "1", judge) is None
    assert await store.ledgers.forget("board", Read("c1", 2, 1.0), "1", judge) == Read("c1", 1, 1.0)
    assert (await store.identities.waiting())[0] == 1
    names = [device.id, theirs.read().statement.subject]
    assert list(await store.ledgers.known("board", names)) == names[1:]
    assert [one.refusal for one in await store.ledgers.records("board", 0)] == ["wrong_name"]


async def test_who_is_revoked_on_the_ledger_does_not_enrol(store: Store, new_device: New) -> None:
    made, revoked, moved, fine = author(), new_device(), new_device(), new_device()
    await store.identities.begin(made)
    known = [
        Identity("device", revoked.id, CLINIC, revoked.key, is_revoked=True, sequence=1, head="a" * 64),
        Identity("device", moved.id, CLINIC, DeviceKey.generate().public, sequence=1, head="b" * 64),
        Identity("device", fine.id, CLINIC, fine.key, head="c" * 64),
    ]
    await store.ledgers.keep("board", Read(), "c1", [], known, 1.0)
    assert [await store.devices.add(one) for one in (revoked, moved, fine)] == [False, False, True]
    assert await store.devices.get(revoked.id) is None
    assert await store.identities.outbox(10) == []


async def test_our_log_takes_a_record_once_and_no_other_in_its_place(store: Store, replica: Store) -> None:
    key, clock = DeviceKey.generate(), Clock()
    one = author(clock)
    first = registered(one, key).read()
    clock.now += 1
    other = registered(one, key).read()
    assert await store.identity_log.publish([first], 1.0) is None
    assert await replica.identity_log.publish([first], 2.0) is None
    assert await replica.identity_log.publish([first, other], 3.0) is other
    assert [kept.record for kept in await store.identity_log.logged(0, 10, 10**9)] == [first.signed]


async def test_what_was_made_for_another_ledger_is_taken_into_our_log(store: Store, new_device: New) -> None:
    await store.identities.begin(author())
    await store.devices.add(new_device())
    [made] = await store.identities.outbox(10)
    assert await store.identity_log.logged(0, 10, 10**9) == []
    assert await store.identity_log.publish([made.record.read()], 1.0) is None
    assert [kept.record for kept in await store.identity_log.logged(0, 10, 10**9)] == [made.record]
