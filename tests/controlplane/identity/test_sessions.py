from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.contracts.console import MAX_SESSION_SECONDS, KeptSession
from controlplane.contracts.identity import Attestation, Device, Person, Trust
from controlplane.identity.sessions import NOTED_SECONDS, Sessions, digest_of
from controlplane.jose.keys import DeviceKey, thumbprint
from tests.clocks import Clock

NOW = 1_767_225_600.0
PERSON = Person(id="person-1", issuer="https://id.example.net", claims={"sub": ["ann"]}, expires_at=NOW + 60.0)


@dataclass
class Kept:
    """The table, in memory: what the database does is tried in tests/controlplane/storage."""

    rows: dict[str, KeptSession] = field(default_factory=dict)
    sign_ins: set[str] = field(default_factory=set)
    uses: int = 0

    async def begin(self, digest: str, session: KeptSession, sign_in: str | None = None) -> int | None:
        if sign_in in self.sign_ins:
            return None
        self.sign_ins |= {sign_in} if sign_in is not None else set()
        self.rows[digest] = session
        return 0

    async def get(self, digest: str) -> KeptSession | None:
        return self.rows.get(digest)

    async def use(self, digest: str, now: float) -> None:
        self.uses += 1
        self.rows[digest] = self.rows[digest].model_copy(update={"used_at": now})

    async def end(self, digest: str, now: float) -> bool:
        found = self.rows.get(digest)
        if found is None or found.ends_at <= now:
            return False
        self.rows[digest] = found.model_copy(update={"ends_at": now})
        return True


def device() -> Device:
    key = DeviceKey.generate().public
    return Device(
        id="dev-1",
        key=key,
        key_thumbprint=thumbprint(key),
        roles=["operator"],
        segment="core",
        status="active",
        attestation=Attestation(),
        trust=Trust(score=0.6, observations=0),
        enrolled_at=NOW,
    )


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def sessions(kept: Kept, clock: Clock) -> Sessions:
    return Sessions(kept, clock)


async def test_what_a_browser_holds_is_nowhere_in_the_store(sessions: Sessions, kept: Kept) -> None:
    begun = await sessions.begin(device(), 3600.0, 900.0)
    assert begun is not None
    assert begun.secret not in repr(kept.rows)
    assert begun.secret not in repr(begun)
    assert list(kept.rows) == [digest_of(begun.secret)]
    assert await sessions.find(begun.secret) == begun.session
    assert await sessions.find(digest_of(begun.secret)) is None, "a row that was stolen opens nothing"


async def test_no_two_sessions_are_alike(sessions: Sessions) -> None:
    begun = [await sessions.begin(device(), 3600.0, 900.0) for _ in range(20)]
    assert len({one.secret for one in begun if one is not None}) == 20


async def test_a_session_ends_without_use_and_in_any_case_in_time(sessions: Sessions, clock: Clock) -> None:
    begun = await sessions.begin(device(), 3600.0, 900.0)
    assert begun is not None
    for _ in range(4):
        clock.now += 899.0
        assert await sessions.find(begun.secret) is not None
    clock.now = NOW + 3600.0
    assert await sessions.find(begun.secret) is None
    idle = await sessions.begin(device(), 3600.0, 900.0)
    assert idle is not None
    clock.now += 900.0
    assert await sessions.find(idle.secret) is None


async def test_not_every_request_writes(sessions: Sessions, clock: Clock, kept: Kept) -> None:
    begun = await sessions.begin(device(), 3600.0, 900.0)
    assert begun is not None
    for _ in range(int(NOTED_SECONDS) - 1):
        clock.now += 1.0
        await sessions.find(begun.secret)
    assert kept.uses == 0
    clock.now += 1.0
    await sessions.find(begun.secret)
    assert kept.uses == 1


async def test_a_short_idle_time_is_noted_as_exactly_as_it_needs(sessions: Sessions, clock: Clock) -> None:
    begun = await sessions.begin(device(), 3600.0, 60.0)
    assert begun is not None
    for _ in range(10):
        clock.now += 40.0
        assert await sessions.find(begun.secret) is not None


async def test_a_session_lasts_a_day_at_most(sessions: Sessions) -> None:
    begun = await sessions.begin(device(), 1e9, 1e9)
    assert begun is not None
    assert begun.session.ends_at == NOW + MAX_SESSION_SECONDS
    assert begun.session.idle_seconds == MAX_SESSION_SECONDS


async def test_a_persons_session_lasts_as_policy_says_and_not_as_their_token(sessions: Sessions) -> None:
    begun = await sessions.begin(PERSON, 3600.0, 900.0)
    assert begun is not None
    assert begun.session.person is not None
    assert begun.session.person.expires_at == begun.session.ends_at == NOW + 3600.0
    assert begun.session.person.claims == PERSON.claims


async def test_a_sign_in_that_was_used_begins_nothing(sessions: Sessions, kept: Kept) -> None:
    assert await sessions.begin(PERSON, 3600.0, 900.0, "s1") is not None
    assert await sessions.begin(PERSON, 3600.0, 900.0, "s1") is None
    assert len(kept.rows) == 1


async def test_a_session_ends_once(sessions: Sessions) -> None:
    begun = await sessions.begin(device(), 3600.0, 900.0)
    assert begun is not None
    assert await sessions.end(begun.secret)
    assert not await sessions.end(begun.secret)
    assert await sessions.find(begun.secret) is None


@given(text=st.one_of(st.text(max_size=200), st.from_regex(r"[A-Za-z0-9_-]{40,46}", fullmatch=True)))
async def test_what_nobody_was_given_finds_and_ends_nothing(text: str) -> None:
    sessions = Sessions(Kept(), lambda: NOW)
    assert await sessions.find(text) is None
    assert not await sessions.end(text)
