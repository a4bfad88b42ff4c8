"""What has had its time is forgotten, who was set apart for long enough is let back, and no fault ends upkeep."""

import asyncio
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from controlplane.confidentiality.privacy import AccountantMissing
from controlplane.contracts.attested import KeptResult
from controlplane.contracts.console import KeptSession
from controlplane.contracts.identity import Attestation, Device, Trust
from controlplane.contracts.policies import digest_of
from controlplane.contracts.privacy import Account, Mechanism
from controlplane.contracts.rollback import Contribution
from controlplane.contracts.rounds import Round
from controlplane.decisions.responding import Contended
from controlplane.identity.tokens import EnrolmentTokens
from controlplane.jose.keys import DeviceKey
from controlplane.storage import Store, open_store
from controlplane.storage.privacy import EARLIER, day_of
from controlplane.storage.releases import KEPT, NewRelease
from controlplane.upkeep import DAY_SECONDS, count_attested, keep_budgets, keep_up, let_back
from tests.controlplane import behaving

NOW = 1_800_000_000.0


Retention = dict[str, float]


async def passes(store: object, *retention: Retention) -> None:
    """Run a pass of upkeep with each of these answers of policy."""
    done = 0

    async def asked() -> Retention:
        return retention[done]

    async def sleep(_seconds: float) -> None:
        nonlocal done
        done += 1
        if done >= len(retention):
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await keep_up(store, 90.0, asked, lambda: NOW, sleep)  # type: ignore[arg-type]


async def test_old_decisions_and_spent_tokens_are_forgotten_and_others_kept(tmp_path: Path) -> None:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}")
    try:
        for name, age in (("old", 91.0), ("young", 89.0)):
            await store.decisions.add_many([(name, NOW - age * DAY_SECONDS, "inference", "dev-1", "deny", b"{}")])
        for age in (9.0, 6.0):
            issued_at = partial(float, NOW - age * DAY_SECONDS)
            await EnrolmentTokens(store.tokens, issued_at).issue(["a"], "b", 60.0)
        await passes(store, {})
        assert await store.decisions.get("old") is None
        assert await store.decisions.get("young") == b"{}"
        assert await store.tokens.purge(NOW) == 1
    finally:
        await store.close()


async def test_a_clock_that_jumps_ahead_for_a_while_has_nothing_forgotten_early(tmp_path: Path) -> None:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}")
    passed, wall = 0.0, [NOW, NOW + 200 * DAY_SECONDS, NOW + 1200.0, NOW + DAY_SECONDS]

    async def asked() -> Retention:
        return {}

    async def sleep(seconds: float) -> None:
        nonlocal passed
        passed += seconds
        if not wall:
            raise asyncio.CancelledError

    try:
        for name, age in (("soon", 90.0 - 900 / DAY_SECONDS), ("young", 89.0)):
            await store.decisions.add_many([(name, NOW - age * DAY_SECONDS, "inference", "dev-1", "deny", b"{}")])
        with pytest.raises(asyncio.CancelledError):
            await keep_up(store, 90.0, asked, lambda: wall.pop(0), sleep, lambda: passed)
        # What came due within the time that really passed is gone, the other is not.
        assert [await store.decisions.get(name) for name in ("soon", "young")] == [None, b"{}"]
    finally:
        await store.close()


async def test_answers_that_had_their_time_are_forgotten_and_others_kept(tmp_path: Path) -> None:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}")
    try:
        for name, until in (("past", NOW), ("now", NOW + 1.0)):
            assert await store.idempotency.claim(name, "r", NOW - 60.0, until) == "claimed"
        await passes(store, {})
        assert await store.idempotency.purge(NOW + 1.0) == 1
    finally:
        await store.close()


async def test_sessions_that_ended_a_while_ago_are_forgotten_and_others_kept(tmp_path: Path) -> None:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}")
    known = {"subject": "dev-1", "key_thumbprint": "t" * 43, "begun_at": NOW - 3600.0, "used_at": NOW - 3600.0}
    try:
        for name, ended in (("past", NOW - 3000.0), ("lately", NOW)):
            session = KeptSession.model_validate({**known, "idle_seconds": 900.0, "ends_at": ended})
            await store.sessions.begin(name, session)
        await passes(store, {})
        assert await store.sessions.get("past") is None
        assert await store.sessions.get("lately") is not None
    finally:
        await store.close()


async def test_a_store_that_fails_is_tried_again(tmp_path: Path) -> None:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}")
    await store.close()
    await passes(store, {}, {"admin": 1.0}, {})


async def test_policy_shortens_what_the_setting_allows_and_never_lengthens_it(tmp_path: Path) -> None:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}")
    try:
        kept = [("inference", 91), ("inference", 31), ("inference", 29), ("admin", 91), ("admin", 89), ("other", 60)]
        for action, days in kept:
            row = (f"{action}-{days}", NOW - days * DAY_SECONDS, action, "dev-1", "deny", b"{}")
            await store.decisions.add_many([row])
        await passes(store, {"inference": 30.0, "admin": 365.0})
        left = [(action, days) for action, days in kept if await store.decisions.get(f"{action}-{days}") is not None]
        assert left == [("inference", 29), ("admin", 89), ("other", 60)]
        await passes(store, {"other": 61.0}, {"other": 59.0}, {"other": 10.0, "inference": 28.0})
        left = [(action, days) for action, days in left if await store.decisions.get(f"{action}-{days}") is not None]
        assert left == [("admin", 89)]
    finally:
        await store.close()


async def test_a_policy_that_says_nothing_leaves_it_to_the_setting(tmp_path: Path) -> None:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}")
    try:
        await store.decisions.add_many([("dec-1", NOW - 89 * DAY_SECONDS, "admin", "dev-1", "deny", b"{}")])
        await passes(store, {}, {})
        assert await store.decisions.get("dec-1") == b"{}"
    finally:
        await store.close()


async def test_old_releases_of_policies_are_forgotten_and_the_newest_kept(tmp_path: Path) -> None:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}")
    try:
        for number in range(KEPT + 2):
            new = NewRelease("base", f"nogit.{number:016}", "k" * 43, "published", NOW, "local:author")
            await store.releases.add(new, str(number).encode())
        await passes(store, {})
        assert len(await store.releases.recent(("base",), 1_000)) == KEPT
        assert await store.releases.body(digest_of(b"1")) is None
        assert (await store.releases.heads())["base"].revision == f"nogit.{KEPT + 1:016}"
    finally:
        await store.close()


async def test_what_was_observed_judged_and_contributed_long_ago_is_forgotten(tmp_path: Path) -> None:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}")
    try:
        device = behaving.device()
        await store.devices.add(device)
        for version, days in enumerate((91.0, 89.0, 31.0, 29.0)):
            time, name = NOW - days * DAY_SECONDS, f"r{version}"
            await store.rounds.add(
                Round(
                    id=name,
                    model="m",
                    model_digest=f"sha256:{'a' * 64}",
                    members=["dev-a"],
                    opened_by="agg-1",
                    opens_at=time,
                    closes_at=time + 1,
                    state="open",
                )
            )
            sent = behaving.observed(
                device.id,
                version,
                score=behaving.score(days, round_id=name, time=time),
                verdict=behaving.verdict(device.id, time=time, round_id=name),
            )
            given = Contribution(
                round_id=name, subject=device.id, update_digest=f"sha256:{'e' * 64}", decision_id="d", time=time
            )
            await store.behaviour.apply([sent], [given])
        await passes(store, {})
        assert await store.observations.recent("updates", "homes.skew0") == [(device.id, 29.0)]
        assert [one.round_id for one in await store.observations.verdicts(device.id, 9)] == ["r3", "r2", "r1"]
        assert await store.contributions.rounds_of([device.id]) == {device.id: {"m": 3}}
    finally:
        await store.close()


class Asked:
    """Answers for the response policy: until when a subject stays set apart, and when it cannot be asked."""

    def __init__(self, store: Store, outcomes: Mapping[str, str]) -> None:
        self._store = store
        self._outcomes = outcomes
        self.subjects: list[str] = []
        self.shown: list[Mapping[str, int]] = []
        self.least: list[float] = []

    async def get(self, device_id: str) -> Device | None:
        return await self._store.devices.get(device_id)

    async def time_passed(self, device: Device) -> Any:
        self.subjects.append(device.id)
        outcome = self._outcomes[device.id]
        if outcome == "gone":
            return None
        if outcome == "contended":
            raise Contended("again and again")
        if outcome == "released":
            kept = (await self._store.behaviour.kept([device.id]))[device.id]
            await self._store.behaviour.apply([behaving.observed(device.id, kept.version, becomes="recovering")])
        state = "recovering" if outcome == "released" else "quarantined"
        return SimpleNamespace(
            state=state, decision=SimpleNamespace(outcome="allow" if outcome == "stays" else outcome)
        )

    def subjects_(self, counts: Mapping[str, int]) -> None:
        self.shown.append(counts)


async def looked(tmp_path: Path, outcomes: Mapping[str, str]) -> Asked:
    """One pass over subjects that policy set apart, in this order."""
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}")
    for number, name in enumerate(outcomes):
        await store.devices.add(behaving.device(id=name))
        apart = behaving.record(state="quarantined", since=NOW + number)
        await store.behaviour.apply([behaving.observed(name, record=apart, status="quarantined")])
    asked = Asked(store, outcomes)
    observer = SimpleNamespace(subjects=asked.subjects_, least_trusted=asked.least.extend)

    async def sleep(_seconds: float) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await let_back(store, asked, asked, observer, sleep)
    await store.close()
    return asked


async def test_those_set_apart_for_longest_are_asked_about_until_one_has_to_stay(tmp_path: Path) -> None:
    asked = await looked(tmp_path, {"dev-1": "released", "dev-2": "released", "dev-3": "stays", "dev-4": "stays"})
    assert asked.subjects == ["dev-1", "dev-2", "dev-3"]
    assert asked.shown == [{"quarantined": 2, "recovering": 2}]


async def test_one_about_which_nothing_can_be_decided_does_not_keep_the_others(tmp_path: Path) -> None:
    asked = await looked(tmp_path, {"dev-1": "deny", "dev-2": "gone", "dev-3": "released"})
    assert asked.subjects == ["dev-1", "dev-2", "dev-3"]


async def test_while_policy_cannot_be_asked_one_is_enough(tmp_path: Path) -> None:
    asked = await looked(tmp_path, {"dev-1": "error", "dev-2": "released"})
    assert asked.subjects == ["dev-1"]


async def test_a_pass_that_fails_is_followed_by_another(tmp_path: Path) -> None:
    asked = await looked(tmp_path, {"dev-1": "contended"})
    assert asked.subjects == ["dev-1"]
    assert asked.shown == []
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'other.db'}")
    await store.close()
    passes_ = 0

    async def sleep(_seconds: float) -> None:
        nonlocal passes_
        passes_ += 1
        if passes_ == 2:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await let_back(store, asked, asked, SimpleNamespace(subjects=asked.subjects_), sleep)
    assert passes_ == 2


async def test_the_least_trusted_of_those_who_may_ask_are_shown(tmp_path: Path) -> None:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}")
    for name, score, seen, status in (
        ("dev-1", 0.5, 4, "active"),
        ("dev-2", 0.1, 4, "active"),
        ("dev-3", 0.2, 0, "active"),
        ("dev-4", 0.05, 4, "quarantined"),
    ):
        await store.devices.add(behaving.device(id=name, status=status, trust=Trust(score=score, observations=seen)))
    assert await store.behaviour.least_trusted(10) == [0.1, 0.5]
    assert await store.behaviour.least_trusted(1) == [0.1]
    await store.close()


async def test_who_has_proven_what_is_counted_and_old_results_are_forgotten(tmp_path: Path) -> None:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}")
    shown: list[Any] = []

    async def sleep(_seconds: float) -> None:
        raise asyncio.CancelledError

    try:
        for at, name in ((NOW - 60.0, "a"), (NOW - 7200.0, "b"), (NOW - 40 * DAY_SECONDS, "c")):
            device = attested_device(name, at)
            await store.devices.add(device)
            result = KeptResult(
                kind="tpm",
                level="hardware",
                reference="gateways",
                platform="00ff",
                verified_at=at,
                expires_at=at + 3600.0,
                decision_id="dec-1",
                result="a.b.c",
            )
            await store.attestations.keep(device.id, device.key_thumbprint, result)
        with pytest.raises(asyncio.CancelledError):
            await count_attested(store, SimpleNamespace(proven=shown.append), lambda: NOW, sleep)
        assert shown == [{"hardware": (1, 2, 60.0)}]
        await passes(store, {})
        assert [len(await store.attestations.of(f"dev-{name}")) for name in "abc"] == [1, 1, 0]
        await store.close()
        with pytest.raises(asyncio.CancelledError):
            await count_attested(store, SimpleNamespace(proven=shown.append), lambda: NOW, sleep)
        assert len(shown) == 1, "what cannot be counted is not shown as nothing"
    finally:
        await store.close()


def attested_device(name: str, at: float) -> Device:
    key = DeviceKey.generate()
    return Device(
        id=f"dev-{name}",
        key=key.public,
        key_thumbprint=key.thumbprint,
        roles=["trainer"],
        segment="homes",
        status="active",
        attestation=Attestation(),
        trust=Trust(score=0.6, observations=0),
        enrolled_at=at,
    )


async def test_budgets_are_shown_and_what_no_window_reaches_is_put_together(tmp_path: Path) -> None:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}")
    account, noise = Account("devices", "dev-1", "falls"), Mechanism("local", 16.0, 1.0)
    shown: list[tuple[str, float]] = []

    class Budgets:
        """Stands for what composes: that is tested where it is."""

        passes = 0

        async def data_sets(self) -> list[str]:
            Budgets.passes += 1
            if Budgets.passes == 1:
                raise AccountantMissing("pip install")
            return ["falls"]

        async def fullest_share(self, _data_set: str) -> float:
            return 0.75

        async def kept_days(self) -> int | None:
            return None if Budgets.passes == 2 else 400

    async def sleep(_seconds: float) -> None:
        if Budgets.passes == 3:
            raise asyncio.CancelledError

    observer = SimpleNamespace(privacy_fullest=lambda *told: shown.append(told))
    try:
        for before, age in enumerate((500, 450, 399)):
            assert await store.privacy.charge(account, noise, before, NOW - age * DAY_SECONDS)
        with pytest.raises(asyncio.CancelledError):
            await keep_budgets(store.privacy, Budgets(), observer, lambda: NOW, sleep)
        assert shown == [("falls", 0.75)] * 2
        spent = await store.privacy.spent(account)
        assert (spent.charges, sorted(spent.days)) == (3, [EARLIER, day_of(NOW) - 399])
    finally:
        await store.close()
