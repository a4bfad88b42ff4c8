"""Ways on the network: known from memory, opened by policy alone, told of as soon as the store holds another table."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from controlplane.capabilities.minting import Minter
from controlplane.contracts.capability import AuthorizationDetail, Constraints
from controlplane.contracts.decision import Decision, Obligations, Outcome
from controlplane.contracts.facts import FACTS
from controlplane.contracts.identity import Attestation, Device, Trust
from controlplane.contracts.segmentation import Attachment, Cut, Grant
from controlplane.decisions.attachments import CurrentAttachments
from controlplane.decisions.engine import Answer, Answered, Unanswered
from controlplane.decisions.following import MAX_SILENCE_SECONDS
from controlplane.decisions.reachable import AGAIN_SECONDS, FRESH_SECONDS, ServicePolicy
from controlplane.decisions.segment_tables import FRESH_SECONDS as TABLE_SECONDS
from controlplane.decisions.segment_tables import OLDEST_SECONDS, OVERLAP_SECONDS, REST, WHOLE_SECONDS, SegmentTables
from controlplane.decisions.segmenting import Segmenting
from controlplane.jose.keys import DeviceKey, SigningKey
from controlplane.storage import StoreUnavailable
from controlplane.storage.segments import Made, Mark
from tests.clocks import START as NOW
from tests.clocks import Clock
from tests.controlplane.segmentation.tables import CAMERA, grant

SERVICE = {"audience": "aggregator-1", "addresses": ["10.10.0.10"], "protocol": "tcp", "ports": [8443]}


def place(number: int) -> Attachment:
    return Attachment(
        device=f"dev-{number:04}",
        address=f"10.20.{number // 250}.{number % 250}",
        site="s",
        device_class="c",
        recorded_at=1.0,
    )


@dataclass
class Book:
    """Stands for a store that counts how it is asked, and fails, which a real one cannot be asked to do."""

    places: list[Attachment] = field(default_factory=list)
    grants: list[Grant] = field(default_factory=list)
    apart: list[Cut] = field(default_factory=list)
    version: int = 0
    is_down: bool = False
    reads: int = 0
    since: list[float] = field(default_factory=list)
    skipped: int = 0
    slowness: float = 0.0
    timer: Clock = field(default_factory=Clock)

    async def changes(self) -> int:
        self._asked()
        return self.version

    async def attached(self, after: str = "", limit: int = 1000) -> Sequence[Attachment]:
        self._asked()
        return [found for found in self.places if found.device > after][:limit]

    async def mark(self) -> Mark:
        self._asked()
        return Mark((self.version,), (len(self.grants),))

    async def granted(self, now: float, since: float = 0.0) -> Sequence[Grant]:
        self._asked()
        self.since.append(since)
        self.timer.now += self.slowness
        return [found for found in self.grants[self.skipped if since else 0 :] if found.expires_at > now]

    async def cuts(self) -> Sequence[Cut]:
        return self.apart

    def _asked(self) -> None:
        if self.is_down:
            raise StoreUnavailable("read", "here", "it is away")
        self.reads += 1


class Shown:
    """Takes what is shown."""

    def attached(self, attachments: int) -> None: ...

    def table(self, grants: int, cuts: int, seconds: float) -> None: ...


@dataclass
class Engine:
    """Stands for an engine that fails, and says how often it was asked."""

    answer: Answer
    asked: int = 0

    async def ask(self, package: str, document: bytes) -> Answer:
        assert package == "services"
        self.asked += 1
        return self.answer


def told(revision: str = "rev-1", **services: Any) -> Answered:
    return Answered({"services": services or {"aggregator": SERVICE}}, revision)


@pytest.fixture
def timer() -> Clock:
    return Clock()


async def test_where_a_device_is_costs_no_look_at_the_store(timer: Clock) -> None:
    book = Book([place(number) for number in range(2500)])
    known = CurrentAttachments(book, Shown(), timer)
    await known.refresh()
    reads = book.reads
    assert [known.of(f"dev-{number:04}") for number in range(2500)] == book.places
    assert known.of("dev-nobody") is None
    assert (len(known), book.reads) == (2500, reads)


async def test_attachments_are_read_again_only_where_they_changed(timer: Clock) -> None:
    book = Book([place(1)])
    known = CurrentAttachments(book, Shown(), timer)
    await known.refresh()
    reads = book.reads
    await known.refresh()
    assert book.reads == reads + 1
    book.places, book.version = [place(2)], 1
    await known.refresh()
    assert (known.of("dev-0001"), known.of("dev-0002")) == (None, place(2))


async def test_while_the_store_is_silent_no_device_is_anywhere(timer: Clock) -> None:
    book = Book([place(1)])
    known = CurrentAttachments(book, Shown(), timer)
    assert known.of("dev-0001") is None
    await known.refresh()
    book.is_down = True
    timer.now += MAX_SILENCE_SECONDS
    with pytest.raises(StoreUnavailable):
        await known.refresh()
    assert known.of("dev-0001") == place(1)
    timer.now += 0.1
    assert (known.of("dev-0001"), known.all()) == (None, ())


async def test_services_are_asked_for_again_after_a_moment_and_by_many_at_once_but_once(timer: Clock) -> None:
    engine = Engine(told())
    policy = ServicePolicy(engine, timer=timer)
    found = await asyncio.gather(*(policy.reachable() for _ in range(50)))
    assert engine.asked == 1
    assert all(one is not None and one.by_audience == {"aggregator-1": "aggregator"} for one in found)
    engine.answer = told("rev-2", gateway={**SERVICE, "audience": "gateway-1"})
    timer.now += FRESH_SECONDS
    changed = await policy.reachable()
    assert changed is not None
    assert (list(changed.services), changed.revision) == (["gateway"], "rev-2")


@pytest.mark.parametrize(
    "answer", [Unanswered("unreachable"), Answered(None, "r"), Answered({}, "r"), Answered({"services": []}, "r")]
)
async def test_where_policy_tells_nothing_nothing_that_it_told_before_counts(timer: Clock, answer: Answer) -> None:
    engine = Engine(told())
    policy = ServicePolicy(engine, timer=timer)
    assert await policy.reachable() is not None
    engine.answer = answer
    timer.now += FRESH_SECONDS
    assert await policy.reachable() is None
    engine.answer = told()
    timer.now += AGAIN_SECONDS
    assert await policy.reachable() is not None


async def test_a_service_that_cannot_be_read_is_none_and_takes_no_other_with_it(timer: Clock) -> None:
    broken = {**SERVICE, "addresses": ["10.10.0.010"], "audience": "other-1"}
    policy = ServicePolicy(Engine(told(aggregator=SERVICE, other=broken)), timer=timer)
    found = await policy.reachable()
    assert found is not None
    assert list(found.services) == ["aggregator"]


def tables(book: Book, timer: Clock, engine: Engine | None = None) -> SegmentTables:
    return SegmentTables(book, ServicePolicy(engine or Engine(told()), timer=timer), Shown(), timer, timer)


async def test_a_table_is_made_once_for_all_and_again_when_it_changed_or_is_old(timer: Clock) -> None:
    book = Book(grants=[grant(1, CAMERA, "aggregator").model_copy(update={"expires_at": timer() + 60.0})])
    given = tables(book, timer)
    first = await given.current()
    assert first is not None
    assert len(first.table.grants) == 1
    assert await given.current() is first
    book.version += 1
    assert await given.current() is not first
    timer.now += 60.0 + TABLE_SECONDS
    later = await given.current()
    assert later is not None
    assert later.table.grants == []
    assert later.table.revision != first.table.revision


async def test_without_services_there_is_no_table(timer: Clock) -> None:
    assert await tables(Book(), timer, Engine(Unanswered("deadline"))).current() is None


async def test_who_waits_is_told_of_a_cut_at_once_and_of_the_same_table_when_the_time_is_over() -> None:
    loop = asyncio.get_running_loop()
    book = Book()
    given = SegmentTables(book, ServicePolicy(Engine(told()), timer=loop.time), Shown(), loop.time, loop.time)
    first = await given.current()
    assert first is not None
    same = await given.another(first.table.revision, 0.3)
    assert same is not None
    assert same.table.revision == first.table.revision
    waiting = [asyncio.create_task(given.another(first.table.revision, 20.0)) for _ in range(20)]
    while given.waiting < 20:  # noqa: ASYNC110 - nothing tells
        await asyncio.sleep(0)
    reads = book.reads
    book.apart, book.version = [Cut(device="dev-1", address="10.20.0.1", reason="quarantined")], 1
    found = await asyncio.wait_for(asyncio.gather(*waiting), 5.0)
    assert {len(one.table.cuts) for one in found if one is not None} == {1}
    assert book.reads - reads < 20
    assert given.waiting == 0


async def test_of_grants_alone_the_new_ones_are_read_and_all_when_anything_else_changed(timer: Clock) -> None:
    def lasting(number: int) -> Grant:
        return grant(number, CAMERA, "aggregator").model_copy(update={"expires_at": timer() + 600.0})

    book = Book(grants=[lasting(1)], skipped=1)
    given = tables(book, timer)
    await given.current()
    book.grants.append(lasting(2))
    both = await given.current()
    assert both is not None
    assert [one.id for one in both.table.grants] == ["capability-1", "capability-2"]
    assert book.since == [0.0, both.table.made_at - OVERLAP_SECONDS]
    del book.grants[0]
    book.version += 1
    left = await given.current()
    assert left is not None
    assert [one.id for one in left.table.grants] == ["capability-2"]
    timer.now += WHOLE_SECONDS + 0.5
    await given.current()
    assert book.since[2:] == [0.0, 0.0]


async def test_new_grants_are_told_of_after_a_rest_and_a_cut_before_it_is_over(timer: Clock) -> None:
    book = Book(slowness=1.0, timer=timer)
    given = tables(book, timer)
    first = await given.current()
    assert first is not None
    book.slowness = 0.0
    book.grants.append(grant(1, CAMERA, "aggregator"))
    timer.now += REST - 1.1
    assert await given.another(first.table.revision, 0.0) is first
    book.apart, book.version = [Cut(device="dev-1", address="10.20.0.1", reason="quarantined")], 1
    assert await given.another(first.table.revision, 0.0) is first
    timer.now += 0.2
    cut = await given.another(first.table.revision, 0.0)
    assert cut is not None
    assert len(cut.table.cuts) == len(cut.table.grants) == 1
    book.grants.append(grant(2, CAMERA, "aggregator"))
    timer.now += REST
    rested = await given.another(cut.table.revision, 0.0)
    assert rested is not None
    assert len(rested.table.grants) == 2


async def test_whoever_has_another_table_is_given_none_that_was_made_long_ago(timer: Clock) -> None:
    given = tables(Book(), timer)
    first = await given.current()
    assert first is not None
    timer.now += OLDEST_SECONDS + 1.0
    assert await given.another(first.table.revision, 0.0) is first
    other = await given.another("another", 0.0)
    assert other is not None
    assert other.table.made_at == timer.now


async def test_a_table_of_before_the_clock_was_set_back_is_made_anew(timer: Clock) -> None:
    clock = Clock(timer.now + 3600.0)
    policy = ServicePolicy(Engine(told()), timer=timer)
    given = SegmentTables(Book(), policy, Shown(), clock, timer)
    first = await given.current()
    assert first is not None
    clock.now -= 3600.0
    timer.now += 1.0
    anew = await given.another(first.table.revision, 0.0)
    assert anew is not None
    assert anew.table.made_at == clock.now


async def test_nobody_waits_once_the_server_ends() -> None:
    loop = asyncio.get_running_loop()
    given = SegmentTables(Book(), ServicePolicy(Engine(told()), timer=loop.time), Shown(), loop.time, loop.time)
    first = await given.current()
    assert first is not None
    waiting = asyncio.create_task(given.another(first.table.revision, 30.0))
    while not given.waiting:  # noqa: ASYNC110 - nothing tells
        await asyncio.sleep(0)
    given.close()
    assert await asyncio.wait_for(waiting, 5.0) is not None


@dataclass
class Deciding:
    """Stands for policy, which names a service whatever it is asked."""

    outcome: Outcome = "allow"
    service: str | None = "aggregator"
    ttl_seconds: float = 60.0
    asked: list[dict[str, Any]] = field(default_factory=list)

    async def decide(self, package: str, facts: dict[str, Any]) -> Decision:
        self.asked.append(FACTS[package].model_validate(facts).model_dump(exclude_none=True))
        return Decision(
            id="dec-1",
            time=NOW,
            action=package,
            subject=facts["subject"]["id"],
            resource=facts["resource"]["id"],
            outcome=self.outcome,
            reasons=[],
            obligations=Obligations(service=self.service),
            rules=["flow_named"],
            ttl_seconds=self.ttl_seconds,
            policy_revision="rev-1",
        )


@dataclass
class Grants:
    """Stands for a store of grants, and for what counts them."""

    has_room: bool = True
    kept: list[Made] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)

    async def grant(self, made: Made, now: float) -> bool:
        self.kept += [made] if self.has_room else []
        return self.has_room

    def opened(self, outcome: str) -> None:
        self.outcomes.append(outcome)


KEY = DeviceKey.generate()
DEVICE = Device(
    id="dev-0001",
    key=KEY.public,
    key_thumbprint=KEY.thumbprint,
    roles=["trainer"],
    segment="homes",
    status="active",
    attestation=Attestation(),
    trust=Trust(score=0.9, observations=9),
    enrolled_at=NOW,
)


async def opened(
    deciding: Deciding, grants: Grants, audience: str = "aggregator-1", answer: Answer | None = None
) -> Any:
    """Return the grant of a capability for 300 s that is opened for a device in a place."""
    clock = Clock(NOW)
    attached = CurrentAttachments(Book([place(1)]), Shown(), clock)
    await attached.refresh()
    policy = ServicePolicy(Engine(answer or told()), timer=clock)
    segmenting = Segmenting(attached, policy, deciding, grants, grants, clock)  # type: ignore[arg-type]
    where = segmenting.place_of(DEVICE.id)
    assert where == place(1)
    detail = AuthorizationDetail(
        type="ztfm", action="gradient_submission", resource_type="model", resource_id="m", constraints=Constraints()
    )
    minted = Minter(lambda: SigningKey.generate(), "https://ztfm.example", clock)
    _, claims = minted.mint(DEVICE.id, DEVICE.key_thumbprint, audience, detail, "dec-0", "rev-1", 300.0)
    return claims, await segmenting.open(where, DEVICE, claims, "key-1")


@pytest.mark.parametrize(("ttl_seconds", "lasts"), [(60.0, 60.0), (300.0, 300.0), (299.5, 299.5)])
async def test_a_grant_ends_with_its_capability_or_before(ttl_seconds: float, lasts: float) -> None:
    deciding, grants = Deciding(ttl_seconds=ttl_seconds), Grants()
    claims, grant = await opened(deciding, grants)
    assert (grant.id, grant.expires_at) == (claims.jti, claims.iat + lasts)
    assert grant.expires_at <= claims.exp
    assert [(made.grant, made.kid, made.issued_at) for made in grants.kept] == [(grant, "key-1", claims.iat)]
    [facts] = deciding.asked
    assert facts["context"]["attachment"] == {
        "address": "10.20.0.1",
        "site": "s",
        "device_class": "c",
        "tunnelled": False,
    }
    assert (facts["context"]["action"], facts["context"]["model"]) == ("gradient_submission", "m")
    assert grants.outcomes == ["granted"]


@pytest.mark.parametrize(
    ("deciding", "outcome"),
    [
        (Deciding("deny", None, 0.0), "denied"),
        (Deciding("error", None, 0.0), "error"),
        (Deciding(service="gateway"), "error"),
        (Deciding(service=None), "error"),
    ],
)
async def test_without_the_word_of_policy_on_this_very_service_nothing_is_opened(
    deciding: Deciding, outcome: str
) -> None:
    grants = Grants()
    _, grant = await opened(deciding, grants)
    assert (grant, grants.kept, grants.outcomes) == (None, [], [outcome])


async def test_a_full_table_and_services_that_nobody_tells_open_nothing() -> None:
    full, untold = Grants(has_room=False), Grants()
    assert (await opened(Deciding(), full))[1] is None
    deciding = Deciding()
    assert (await opened(deciding, untold, answer=Unanswered("deadline")))[1] is None
    assert (full.outcomes, untold.outcomes, deciding.asked) == (["full"], ["unknown"], [])


async def test_of_an_audience_that_is_no_service_policy_is_not_asked() -> None:
    deciding, grants = Deciding(), Grants()
    assert (await opened(deciding, grants, audience="AGGREGATOR-1"))[1] is None
    assert (deciding.asked, grants.outcomes) == ([], [])
